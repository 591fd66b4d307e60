/** Which web pages may connect. */
import { describe, expect, it } from "vitest";
import { isAllowedOrigin, originsIn, wrongOrigins } from "../../src/http/gate/origin.ts";

const HERE = "https://rooms.test/rooms/chat/a?offset=1";
const allows = (origin: string, ...entries: string[]) => isAllowedOrigin(origin, HERE, entries);

describe("with no list", () => {
  const cases: [origin: string | null, expected: boolean, why: string][] = [
    [null, true, "a program sends none"],
    ["https://rooms.test", true, "our own page"],
    ["HTTPS://Rooms.TEST", true, "our own page in capitals"],
    ["http://rooms.test", false, "our host without TLS"],
    ["https://rooms.test:8443", false, "our host on another port"],
    ["https://other.rooms.test", false, "a host below ours"],
    ["https://rooms.test.evil.test", false, "a host that begins like ours"],
    ["https://evil.test", false, "a stranger"],
    ["null", false, "a sandboxed frame names nobody"],
    ["", false, "an empty header"],
    ["rooms.test", false, "no origin at all"],
    ["https://rooms.test/", false, "more than an origin"],
    ["https://rooms.test/rooms", false, "a URL"],
    ["https://user@rooms.test", false, "a URL with a user"],
    ["https://rooms.test, https://evil.test", false, "two origins"],
    ["file://", false, "a file"],
    ["data:text/html,x", false, "a page made up"],
  ];
  for (const [origin, expected, why] of cases) {
    it(`${JSON.stringify(origin)} is ${expected ? "let in" : "kept out"}: ${why}`, () => {
      expect(isAllowedOrigin(origin, HERE, [])).toBe(expected);
    });
  }

  it("our own page is known by its port too", () => {
    expect(isAllowedOrigin("http://localhost:8787", "http://localhost:8787/rooms/a", [])).toBe(true);
    expect(isAllowedOrigin("http://localhost:5173", "http://localhost:8787/rooms/a", [])).toBe(false);
  });
});

describe("E14: an app that is no page of the web", () => {
  const apps = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "app://-",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://0d2a4c3e-1111-2222-3333-444455556666",
  ];

  it.each(apps)("gets in as %s where that is listed, and only there", (origin) => {
    expect(wrongOrigins([origin, `${origin}/`], "it")).toBeUndefined();
    expect(allows(origin, origin)).toBe(true);
    expect(allows(origin, `${origin.toUpperCase()}/`)).toBe(true);
    expect(allows(origin)).toBe(false);
    const others = [...apps.filter((other) => other !== origin), `${origin}/page`, `${origin}@evil`, `${origin}:1`];
    expect(others.filter((other) => allows(other, origin))).toEqual([]);
    expect(allows(origin, "*.localhost", "https://localhost")).toBe(false);
  });

  it("is refused under a scheme that any page can have", () => {
    for (const origin of ["file://", "data://x", "blob:https://app.test/1", "about://blank", "javascript://x"]) {
      expect(allows(origin, origin)).toBe(false);
      expect(wrongOrigins([origin], "the list")).toContain("Entry 1 of the list is no origin");
    }
  });
});

describe("ALLOWED_ORIGINS", () => {
  it("T22: is a list with commas; absent and empty are no entry", () => {
    expect(originsIn({ ALLOWED_ORIGINS: " https://a.test ,*.b.test,, capacitor://localhost" })).toEqual([
      "https://a.test",
      "*.b.test",
      "capacitor://localhost",
    ]);
    for (const env of [{}, { ALLOWED_ORIGINS: "" }, { ALLOWED_ORIGINS: " , " }]) expect(originsIn(env)).toEqual([]);
  });

  it.each([
    "*",
    "*.",
    "*.com",
    "*.localhost",
    "*.com.",
    "app.test",
    "https://*.app.test",
    "null",
    "https://a.test/path",
    "https://u@a.test",
    "*.a.test:8",
    "https://bob:hunter2@internal.test/path",
  ])("E14: an entry such as %j is a mistake: told by its place, and never by its text", (entry) => {
    const allowed = ["https://good.test", entry];
    const told = wrongOrigins(allowed, "ALLOWED_ORIGINS");
    expect(told).toBe(wrongOrigins(["https://good.test", 5], "ALLOWED_ORIGINS"));
    expect(told).toContain("Entry 2 of ALLOWED_ORIGINS is no origin");
  });

  it("E14: what is no text is a mistake too", () => {
    expect(wrongOrigins(originsIn({ ALLOWED_ORIGINS: { a: 1 } }), "it")).toBeDefined();
    const good = ["https://a.test/", "HTTPS://A.test:443", "*.a.test", "http://localhost:5173"];
    expect(wrongOrigins(good, "it")).toBeUndefined();
  });
});

describe("an exact entry", () => {
  it("lets in its origin and no other", () => {
    expect(allows("https://app.test", "https://app.test")).toBe(true);
    expect(allows("http://localhost:5173", "https://app.test", "http://localhost:5173")).toBe(true);
    const others = ["http://app.test", "https://app.test:444", "https://a.app.test", "https://xapp.test"];
    expect(others.filter((other) => allows(other, "https://app.test"))).toEqual([]);
  });

  it("may be written with a slash, capitals or the usual port", () => {
    const entries = ["https://app.test/", "HTTPS://APP.test", "https://app.test:443"];
    expect(entries.filter((entry) => allows("https://app.test", entry))).toEqual(entries);
  });

  it("lets nobody in when it is no origin", () => {
    const entries = ["", "*", "null", "app.test", "https://", "https://*.app.test", "about:blank"];
    const origins = ["https://app.test", "https://a.app.test", "null", "about:blank"];
    expect(origins.filter((origin) => allows(origin, ...entries))).toEqual([]);
  });
});

describe("an entry such as *.example.com", () => {
  it("lets in every https host below the domain", () => {
    const hosts = ["a.example.com", "a.b.example.com", "xn--mnchen-3ya.example.com", "a.example.com:8443"];
    expect(hosts.filter((host) => allows(`https://${host}`, "*.example.com"))).toEqual(hosts);
    expect(allows("https://a.example.com", "*.Example.COM")).toBe(true);
  });

  it("E14: lets nobody in when it is a whole top-level domain, which anybody can have a page in", () => {
    const origins = ["https://evil.com", "https://a.localhost", "https://a.b.com."];
    expect(origins.filter((origin) => allows(origin, "*.com", "*.localhost", "*.com.", "*..com"))).toEqual([]);
  });

  it("keeps out the domain itself, its likes and everything without TLS", () => {
    const origins = [
      "https://example.com",
      "https://notexample.com",
      "https://a.example.com.evil.test",
      "https://a.example.com.",
      "https://evil.test#.example.com",
      "https://evil.test/.example.com",
      "https://evil.test?.example.com",
      "http://a.example.com",
      "ws://a.example.com",
      "null",
    ];
    expect(origins.filter((origin) => allows(origin, "*.example.com"))).toEqual([]);
  });
});
