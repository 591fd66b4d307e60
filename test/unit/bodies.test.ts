/** Bodies, judged alike by the schemas of the OpenAPI document and by what reads them. */
import { Validator, type Schema } from "@cfworker/json-schema";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readDrain, readKick, readPublish, readRevoke } from "../../src/http/api/bodies.ts";
import { schemas, type SchemaName } from "../../src/http/api/schemas.ts";

const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/** Values that some field takes, and their neighbours that none does. */
const texts = ["", "ann", "x".repeat(255), "x".repeat(256), "s".repeat(64), "s".repeat(65), "a b", "é", "\n"];
const numbers = [0, -1, 0.5, 1e-9, 3_600_000, 3_600_000.5, 3_600_001, 1e300];
const traces = [
  TRACEPARENT,
  TRACEPARENT.toUpperCase(),
  TRACEPARENT.replace("00-", "ff-"),
  TRACEPARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0".repeat(32)),
  TRACEPARENT.replace("00f067aa0ba902b7", "0".repeat(16)),
  `${TRACEPARENT}-more`,
  `${TRACEPARENT}\n`,
];
const crowds = [100, 101].map((length) => Array.from({ length }, (_, i) => `u${i}`));
const lists = [[], ["ann"], ["ann", "bob"], [""], ["x".repeat(256)], [1], [null], ...crowds];
const near: readonly unknown[] = [...texts, ...numbers, ...traces, ...lists, null, true, {}];
const fields = ["data", "to", "traceparent", "user", "session", "within", "reopenAfter", "__proto__", "other"];
const values = fc.oneof(fc.constantFrom(...near), fc.jsonValue({ maxDepth: 3 }));
const bodies = fc.oneof(
  { weight: 8, arbitrary: fc.dictionary(fc.constantFrom(...fields), values, { maxKeys: 4 }) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
);

/** Whether the document lets a body be like this. */
function judge(name: SchemaName) {
  const validator = new Validator({ ...schemas[name], components: { schemas } } as Schema, "2020-12");
  return (value: unknown) => validator.validate(value).valid;
}

const bytes = (text: string) => new TextEncoder().encode(text).buffer as ArrayBuffer;

describe("what the document accepts, the server accepts, and nothing else", () => {
  it.each([
    ["Publish", { data: 1 }, async (body: ArrayBuffer) => readPublish(body, undefined)],
    ["Kick", {}, async (body: ArrayBuffer) => readKick(body)],
    ["Revoke", {}, async (body: ArrayBuffer) => readRevoke(body)],
    ["Drain", {}, async (body: ArrayBuffer) => readDrain(body)],
  ] as const)("in a body of %s", async (name, right, read) => {
    const accepts = judge(name);
    const verdicts = { accepted: 0, refused: 0 };
    const compare = async (generated: unknown) => {
      // As it arrives: JSON has no -0, and a key that is written twice counts once.
      const text = JSON.stringify(generated);
      const isAccepted = accepts(JSON.parse(text));
      verdicts[isAccepted ? "accepted" : "refused"]++;
      expect({ text, isAccepted: typeof (await read(bytes(text))) !== "string" }).toEqual({ text, isAccepted });
    };
    for (const field of fields) for (const value of near) await compare({ ...right, [field]: value });
    await fc.assert(fc.asyncProperty(bodies, compare), { numRuns: 1_000 });
    expect(Math.min(verdicts.accepted, verdicts.refused)).toBeGreaterThan(20);
  });
});
