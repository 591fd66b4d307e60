/** Where documents and product once disagreed: what a reader is told today, beside the constants that it comes from. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openapi } from "../../src/http/api/openapi.ts";
import { schemas, type Schema } from "../../src/http/api/schemas.ts";
import { codes } from "../../src/protocol/codes.ts";

const doc = (name: string) =>
  readFileSync(join(import.meta.dirname, "../../docs", name), "utf8").replaceAll(/\s+/g, " ");

/** What was left out or wrong, where it is said now, and how. */
const SAID: readonly (readonly [what: string, file: string, said: RegExp])[] = [
  ["a 426 and the header Upgrade", "reference/protocol.md", /A `426` names the WebSocket in its body alone/],
  [
    "the rate of publications over HTTP",
    "reference/http.md",
    /A publication takes from a bucket of its user in its room/,
  ],
  ["an empty page with a next", "reference/http.md", /A page can be empty and still have a `next`/],
  ["a key id that nobody knows", "guides/auth.md", /\| `token_early` +\| .*or the issuer's key is new/],
  ["an issuer that hangs", "guides/operate.md", /answers `upstream_timeout` \(504\) when the issuer hangs/],
  [
    "a session id that cannot be one",
    "reference/protocol.md",
    /\| `bad_resume` .*Also for the body of a token refresh/,
  ],
  [
    "an ack that is ahead",
    "reference/protocol.md",
    /An `ack` ahead of what was sent is answered with `error` of code `bad_frame`/,
  ],
  [
    "a repeat under one Idempotency-Key",
    "reference/http.md",
    /The first answer is 201; a repeat is 200, with the header `idempotent-replayed: true`/,
  ],
  [
    "a token of the future",
    "reference/protocol.md",
    /`iat` or `nbf` lies further ahead is refused: with `token_early`/,
  ],
  ["presence that is too large", "reference/protocol.md", /code `rejected` when the data is larger than 2,048 bytes/],
  ["a Worker without a secret", "guides/auth.md", /\| `misconfigured` .*AUTH_SECRET/],
];

it.each(SAID)("D: %s is told as it is", (_what, file, said) => {
  expect(doc(file)).toMatch(said);
});

it("D: a client comes again later where only a deploy helps, and a key that is new is no fault of the issuer", () => {
  expect([codes.misconfigured.next, codes.token_early.next, codes.token_early.http]).toEqual(["later", "renew", 401]);
});

it("D: every problem has the id of its request, and the document says so", () => {
  expect((schemas.Problem as Schema)["required"]).toContain("requestId");
  const { responses } = openapi(["/rooms/:kind/:room"]).paths["/rooms/{kind}/{room}/publish"]?.post ?? {};
  expect(Object.keys(responses ?? {})).toEqual(expect.arrayContaining(["200", "201", "429"]));
});
