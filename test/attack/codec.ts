/**
 * `npm run fuzz -- --frames 1000000 [--seed 7] [--runs 2000]`: the codec against messages of every kind, in Node, then the
 * room (test/workerd/fuzz.test.ts) with `--runs` sequences. A failure prints the seed and the smallest message that shows it.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as fc from "fast-check";
import { decode, decodeServer, encode, encodePub, join as joinFrames } from "../../src/protocol/codec.ts";
import type { ClientFrame } from "../../src/protocol/frames.ts";
import { MAX_BATCH, MAX_MESSAGE_BYTES } from "../../src/protocol/limits.ts";
import { anyJson, anyMessage, print, validFrame, wide, type Message } from "./frames.ts";
import { isClientFrame, isMessage } from "./judge.ts";

const { values } = parseArgs({
  options: { frames: { type: "string" }, seed: { type: "string" }, runs: { type: "string" } },
});
const wanted = Number(values.frames ?? 1_000_000);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(values.runs ?? 2_000);

const tally = { messages: 0, frames: 0, usable: 0, malformed: 0, tooLarge: 0 };

/** Everything that must hold for one message, whatever it is. */
function checkDecode({ text }: Message, limit: number): void {
  const decoded = decode(text, limit);
  tally.messages++;
  tally.frames += decoded.length;
  assert.ok(decoded.length >= 1 && decoded.length <= MAX_BATCH, "between one frame and a full batch");
  // Judged by a second reading of docs/reference/protocol.md, which shares no line with the codec.
  const expected = isMessage(text, limit);
  if (typeof expected === "string") {
    assert.deepEqual(
      decoded.map((frame) => frame.type === "malformed" && frame.code),
      [expected],
    );
  } else {
    assert.deepEqual(
      decoded.map((frame) => frame.type !== "malformed"),
      expected,
    );
  }
  for (const frame of decoded) {
    if (frame.type === "malformed") {
      if (frame.code === "too_large") tally.tooLarge++;
      else tally.malformed++;
      assert.ok(frame.message.length < 200 && !/\p{Cc}/u.test(frame.message), "a refusal never repeats what was sent");
      assert.ok(frame.ref === undefined || (Number.isSafeInteger(frame.ref) && frame.ref >= 1));
      continue;
    }
    tally.usable++;
    // What was read can be written, and is then read as the same.
    const again = encode(frame);
    const [back, ...more] = decode(again, 8 * MAX_MESSAGE_BYTES);
    assert.equal(more.length, 0);
    assert.ok(back && back.type !== "malformed");
    assert.equal(encode(back), again);
    assert.ok(isClientFrame(JSON.parse(again)));
    assert.equal(Object.getPrototypeOf(frame), Object.prototype);
  }
}

/** A frame that is right comes through as it went in, alone, in a batch, and to a client. */
function checkRoundTrip(frames: readonly ClientFrame[]): void {
  const text = joinFrames(frames.map(encode));
  // Once through JSON: 1e999 is null there, and -0 is 0.
  const plain = JSON.parse(`[${frames.map(encode).join(",")}]`) as unknown[];
  assert.deepEqual(decode(text, MAX_MESSAGE_BYTES), plain.map(withData));
  assert.deepEqual(decodeServer(text), plain);
}

const withData = (frame: unknown) => {
  const { type, ...rest } = frame as { type: string };
  return type === "call" ? { type, data: null, ...rest } : { type, ...rest };
};

/** The client's side: a value or nothing, never a throw, and `pub` frames around text as they were. */
function checkServerSide({ text }: Message, items: readonly string[]): void {
  const decoded = decodeServer(text);
  if (decoded) for (const frame of decoded) assert.equal(typeof frame.type, "string");
  const pub = encodePub(1, items.length, items.join(","));
  assert.deepEqual(decodeServer(pub), [
    { type: "pub", from: 1, upto: items.length, items: JSON.parse(`[${items.join(",")}]`) as unknown[] },
  ]);
  assert.deepEqual(decodeServer(joinFrames([pub, pub])), [...(decodeServer(pub) ?? []), ...(decodeServer(pub) ?? [])]);
}

const messages = fc.tuple(anyMessage(wide), fc.constantFrom(64, 1_024, 65_536, 65_536, 65_536));
const batches = fc
  .array(validFrame(wide), { minLength: 1, maxLength: 8 })
  .map((trees) => trees.map((tree) => JSON.parse(print(tree)) as ClientFrame));
const served = fc.tuple(anyMessage(wide), fc.array(anyJson.map(print), { maxLength: 3 }));
const binary = fc.uint8Array({ maxLength: 64 });

console.log(`seed ${seed}, ${wanted} frames`);
const started = performance.now();
const inPrototypes = Reflect.ownKeys(Object.prototype).length;
const ROUND = 5_000;
for (let round = 0; tally.frames < wanted; round++) {
  const options = { seed: seed + round, numRuns: ROUND };
  fc.assert(
    fc.property(messages, ([message, limit]) => checkDecode(message, limit)),
    options,
  );
  const fewer = { ...options, numRuns: ROUND / 10 };
  fc.assert(fc.property(batches, checkRoundTrip), fewer);
  fc.assert(
    fc.property(served, ([message, items]) => checkServerSide(message, items)),
    fewer,
  );
  fc.assert(
    fc.property(binary, (data) => assert.equal(decode(data.buffer, 1_024)[0]?.type, "malformed")),
    { ...options, numRuns: 50 },
  );
}
assert.equal(Reflect.ownKeys(Object.prototype).length, inPrototypes, "no prototype was touched");
assert.ok(tally.usable > tally.frames / 10 && tally.malformed > tally.frames / 20, "both sides of the line are tried");
console.log(`codec: ${JSON.stringify(tally)} in ${((performance.now() - started) / 1_000).toFixed(1)} s`);

if (runs > 0) {
  const root = join(import.meta.dirname, "../..");
  const { status } = spawnSync(
    join(root, "node_modules/.bin/vitest"),
    ["run", "--project", "workerd", "test/workerd/fuzz.test.ts"],
    {
      cwd: root,
      stdio: "inherit",
      env: { ...process.env, VITE_FUZZ_SEED: String(seed), VITE_FUZZ_RUNS: String(runs) },
    },
  );
  process.exitCode = status ?? 1;
}
