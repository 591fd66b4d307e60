/**
 * docs/reference/http.md against the OpenAPI document, which other tests hold to routes and answers; and what else was told in one
 * place and not in another (part D): what a program must know of a refusal stands where its programmer looks.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openapi } from "../../src/http/api/openapi.ts";
import { codes } from "../../src/protocol/codes.ts";
import { root } from "../support/sources.ts";

/** A document without its line breaks. */
const told = (path: string) => readFileSync(join(root, "docs", path), "utf8").replaceAll(/\s+/g, " ");
const doc = readFileSync(join(root, "docs/reference/http.md"), "utf8");

interface Described {
  readonly summary: string;
  readonly responses: Readonly<Record<string, unknown>>;
}
const { paths, components } = openapi(["/rooms/:kind/:room"]);
const described = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods as Record<string, Described>)
    .filter(([method]) => method !== "parameters")
    .map(([method, one]) => ({ request: `${method.toUpperCase()} ${path}`, one })),
);
const at = (request: string) => described.find((each) => each.request === request)?.one;

/** Requests of the tables, as the OpenAPI document writes them, with the second cell of their row. */
const rows = [...doc.matchAll(/^\| (`(?:GET|POST)[^|]*) \| ([^|]*) \|/gm)].flatMap(([, requests = "", who = ""]) =>
  [...requests.matchAll(/`(GET|POST) ?(\/?[\w/.-]*)[^`]*`/g)].map(([, method, path = ""]) => {
    const ofRoom = path.startsWith("with") ? "" : path === "" ? "" : `/${path}`;
    return {
      request: `${method} ${path.startsWith("/") ? path : `/rooms/{kind}/{room}${ofRoom}`}`,
      who: who.replaceAll("`", "").trim(),
    };
  }),
);

describe("docs/reference/http.md", () => {
  it("D: has every request of the API, and no other", () => {
    // Only in development, and not in the document for programs.
    const documented = rows.map(({ request }) => request).filter((request) => request !== "POST /dev/token");
    expect(documented.toSorted()).toEqual(described.map(({ request }) => request).toSorted());
  });

  it("D: names the grant that each request of a room needs", () => {
    const ofRooms = rows.filter(({ request }) => request.includes("{room}"));
    expect(ofRooms.length).toBeGreaterThan(12);
    for (const { request, who } of ofRooms) expect(at(request)?.summary, request).toContain(`Grant: ${who}.`);
  });

  it("D: says that publishing has a rate, and which status a repeat has", () => {
    const { responses = {} } = at("POST /rooms/{kind}/{room}/publish") ?? {};
    expect(Object.keys(responses)).toEqual(expect.arrayContaining(["200", "201", String(codes.rate_limited.http)]));
    const text = told("reference/http.md");
    expect(text).toContain("The first answer is 201; a repeat is 200, with the header `idempotent-replayed: true`.");
    expect(text).toContain("(`rate`): past it, it is `rate_limited`.");
  });

  it("D: says that a page of rooms can be empty and have another", () => {
    expect(told("reference/http.md")).toContain("A page can be empty and still have a `next`");
  });
});

describe("what a program must know of a refusal", () => {
  it("D: every problem has its request's id, in the OpenAPI document and in the protocol", () => {
    expect(components.schemas["Problem"]).toMatchObject({ required: expect.arrayContaining(["requestId"]) });
    expect(told("reference/protocol.md")).toMatch(/\| `requestId` +\| string +\| always /);
  });

  it.each([
    [
      "an issuer that hangs is asked once",
      "guides/operate.md",
      "one that times out is not, because its client has waited",
    ],
    [
      "a key id that nobody knows is the token's fault",
      "guides/operate.md",
      "is the token's fault (401, `token_early`)",
    ],
    [
      "a token from the future is refused",
      "guides/auth.md",
      "`iat` or `nbf` is ahead of the Worker's clock by more than 10 s",
    ],
    [
      "presence that is too large is `rejected`",
      "reference/protocol.md",
      "`rejected` when the data is larger than 2,048 bytes",
    ],
    ["presence that is too large is refused", "reference/client.md", "`setPresence` of more than 2,048 bytes"],
    [
      "an ack ahead is `bad_frame`, without credit too",
      "reference/protocol.md",
      "with `frame`: `ack`, with and without credit",
    ],
    [
      "a Worker without a secret says so",
      "guides/auth.md",
      "Ask `GET /readyz`: it names what is missing, such as `AUTH_SECRET`",
    ],
  ])("D: %s, says %s", (_, path, sentence) => {
    expect(told(path).includes(sentence)).toBe(true);
  });
});
