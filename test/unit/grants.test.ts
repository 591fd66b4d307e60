/** The `rooms` claim and its patterns. */
import { describe, expect, it } from "vitest";
import { grantsIn } from "../../src/http/gate/grants.ts";
import { matches } from "../../src/protocol/patterns.ts";

/** Every word of up to `length` letters. */
function words(letters: readonly string[], length: number): string[] {
  let longest = [""];
  const all = [...longest];
  for (let i = 0; i < length; i++) {
    longest = longest.flatMap((word) => letters.map((letter) => word + letter));
    all.push(...longest);
  }
  return all;
}

describe("a token without a rooms claim", () => {
  it("makes an ordinary member of any room, and never an admin", () => {
    expect(grantsIn(undefined, "chat", "a")).toEqual(["join", "publish", "signal", "call"]);
  });
});

describe("a rooms claim", () => {
  it("grants what a matching pattern names, in one order whatever the token's", () => {
    expect(grantsIn({ "chat/a": ["admin", "publish", "join"] }, "chat", "a")).toEqual(["join", "publish", "admin"]);
  });

  it("adds up several patterns and names nothing twice", () => {
    const claim = { "*": ["join"], "chat/*": ["join", "signal"], "relay/*": ["admin"] };
    expect(grantsIn(claim, "chat", "a")).toEqual(["join", "signal"]);
  });

  it("grants nothing where no pattern matches", () => {
    expect(grantsIn({ "chat/a": ["join"] }, "chat", "b")).toEqual([]);
    expect(grantsIn({ "chat/a": ["join"] }, "chats", "a")).toEqual([]);
    expect(grantsIn({}, "chat", "a")).toEqual([]);
  });

  it("grants nothing that is not a grant", () => {
    const grants = ["JOIN", "fly", "", 1, null, true, ["join"], { join: true }, "__proto__", "toString"];
    expect(grantsIn({ "*": grants }, "chat", "a")).toEqual([]);
  });

  it("grants nothing when it is not an object of arrays", () => {
    const claims = [null, true, 1, "chat/*", "", ["join"], [["*", ["join"]]], { "*": "join" }, { "*": { 0: "join" } }];
    expect(claims.filter((claim) => grantsIn(claim, "chat", "a").length > 0)).toEqual([]);
  });

  it("keeps to the patterns that are sound when others are not", () => {
    expect(grantsIn({ "*": 1, "chat/*": ["join"], "chat/a": null }, "chat", "a")).toEqual(["join"]);
  });

  it("is not fooled by keys of prototypes", () => {
    const claim: unknown = JSON.parse('{"__proto__":["join"],"constructor":["join"],"toString":["join"]}');
    expect(grantsIn(claim, "chat", "a")).toEqual([]);
    expect(grantsIn(Object.create({ "*": ["join"] }), "chat", "a")).toEqual([]);
    expect(grantsIn(JSON.parse('{"chat/__proto__":["join"]}'), "chat", "__proto__")).toEqual(["join"]);
  });

  it("cannot be made to change what an ordinary member may do", () => {
    const granted = grantsIn({ "*": ["join", "admin"] }, "chat", "a") as string[];
    granted.push("publish");
    expect(grantsIn({ "*": ["join"] }, "chat", "a")).toEqual(["join"]);
    expect(grantsIn(undefined, "chat", "a")).toEqual(["join", "publish", "signal", "call"]);
  });
});

describe("a pattern", () => {
  const cases: [pattern: string, text: string, expected: boolean][] = [
    ["chat/a", "chat/a", true],
    ["chat/a", "chat/ab", false],
    ["chat/ab", "chat/a", false],
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "chat/a", true],
    ["**", "chat/a", true],
    ["chat/*", "chat/", true],
    ["chat/*", "chat", false],
    ["chat/*", "relay/a", false],
    ["*/a", "chat/a", true],
    ["*/a", "chat/ba", false],
    ["*a", "chat/ba", true],
    ["chat/*-eu", "chat/a-eu-eu", true],
    ["chat/*-eu", "chat/a-eu-us", false],
    ["c*t/*b*", "chat/abc", true],
    ["a*b*c", "abcbcc", true],
    ["a*b*c", "acbb", false],
    ["*ab", "aab", true],
    ["*aab*", "aaaab", true],
    ["a*", "ba", false],
    ["chat/a", "CHAT/A", false],
    ["chat/?", "chat/a", false],
    ["chat/.", "chat/a", false],
    ["chat/.*", "chat/a", false],
    ["chat/[ab]", "chat/a", false],
  ];
  for (const [pattern, text, expected] of cases) {
    it(`${JSON.stringify(pattern)} ${expected ? "matches" : "does not match"} ${JSON.stringify(text)}`, () => {
      expect(matches(pattern, text)).toBe(expected);
    });
  }

  it("agrees with the definition on every short pattern and text", () => {
    const texts = words(["a", "b"], 5);
    const wrong = words(["a", "b", "*"], 6).flatMap((pattern) => {
      const definition = new RegExp(`^${pattern.replaceAll("*", ".*")}$`);
      return texts.filter((text) => matches(pattern, text) !== definition.test(text)).map((text) => [pattern, text]);
    });
    expect(texts).toHaveLength(63);
    expect(wrong).toEqual([]);
  });

  it("never costs more than its length times the text's, however many stars a token has", () => {
    const cost = (length: number) => {
      const text = "a".repeat(length);
      const began = performance.now();
      for (const pattern of ["*a*a*a*a*b", `${"*a".repeat(length / 2)}*b`, `${"a*".repeat(length)}b`]) {
        expect(matches(pattern, text)).toBe(false);
      }
      expect(matches(`${"*a".repeat(length)}*`, text)).toBe(true);
      expect(matches(`${"*".repeat(40 * length)}b`, text)).toBe(false);
      return performance.now() - began;
    };
    const best = (length: number) => Math.min(...Array.from({ length: 5 }, () => cost(length)));
    // Twice the lengths are four times the work. With one more star each, a search with backtracking never ends.
    expect(best(256)).toBeLessThan(40 * Math.max(best(128), 0.1));
  });
});
