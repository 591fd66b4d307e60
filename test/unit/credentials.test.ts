/** What an Authenticator and `authorize` return is checked before it reaches a room. */
import { describe, expect, it } from "vitest";
import { readCredentials } from "../../src/http/gate/credentials.ts";
import { HookFailed } from "../../src/http/thrown.ts";

const good = { user: "ann", name: "Ann", grants: ["join", "publish"], issued: 1_700_000_000_000, expires: 9e12 };

describe("credentials that a deployer's code returns", () => {
  it("are taken as they are, without what a room does not know", () => {
    expect(readCredentials({ ...good, claims: { secret: 1 }, token: "t" }, "authorize")).toEqual(good);
    const { name: _, ...nameless } = good;
    expect(readCredentials(nameless, "authorize")).toEqual(nameless);
  });

  it("may never end: the last moment that JSON can carry stands for it", () => {
    const { expires } = readCredentials({ ...good, expires: Infinity }, "authorize");
    expect(expires).toBe(8.64e15);
    expect(JSON.parse(JSON.stringify({ expires }))).toEqual({ expires });
  });

  it("have whole milliseconds", () => {
    expect(readCredentials({ ...good, issued: 0.5, expires: 10.7 }, "authorize")).toMatchObject({
      issued: 0,
      expires: 10,
    });
  });

  const wrong: [field: keyof typeof good, value: unknown][] = [
    ["expires", NaN],
    ["expires", -1],
    ["expires", "2030-01-01"],
    ["expires", new Date(9e12)],
    ["expires", undefined],
    ["expires", null],
    ["issued", NaN],
    ["issued", Infinity],
    ["issued", Date.now() + 3_600_000],
    ["issued", undefined],
    ["user", ""],
    ["user", "x".repeat(256)],
    ["user", "a\nb"],
    ["user", 7],
    ["user", undefined],
    ["name", ""],
    ["name", "x".repeat(129)],
    ["name", "\u202egnihton"],
    ["name", null],
    ["grants", undefined],
    ["grants", "join"],
    ["grants", ["join", "fly"]],
    ["grants", [undefined]],
  ];
  it.each(wrong)("fail by name when %s is %o", (field, value) => {
    const read = () => readCredentials({ ...good, [field]: value }, "authorize");
    expect(read).toThrow(HookFailed);
    expect(read).toThrow(`authorize returned an invalid ${field}: `);
  });
});
