/**
 * What a client could send, as fast-check arbitraries: frames that are right, frames that are nearly right, and JSON that
 * no honest program writes (keys twice, numbers that grow, half characters, depth). Messages are text, because much of
 * this is lost in a JavaScript object. Shared by the fuzz of the codec (Node) and of the room (workerd).
 */
import * as fc from "fast-check";
import type { Arbitrary } from "fast-check";

/** JSON as it will be printed: objects are lists, so that a key can come twice; leaves are printed already. */
export type Tree =
  | { readonly text: string }
  | { readonly items: readonly Tree[] }
  | { readonly entries: readonly (readonly [key: string, value: Tree])[] };

/** A tree as JSON text. */
export function print(tree: Tree): string {
  if ("text" in tree) return tree.text;
  if ("items" in tree) return `[${tree.items.map(print).join(",")}]`;
  return `{${tree.entries.map(([key, value]) => `${JSON.stringify(key)}:${print(value)}`).join(",")}}`;
}

const leaf = (text: string): Tree => ({ text });

/** Names that have a meaning somewhere: to us, to JavaScript, to a log. */
export const NAMES = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "toJSON",
  "hasOwnProperty",
  "type",
  "ref",
  "data",
  "to",
  "offset",
  "method",
  "message",
  "publish",
  "welcome",
  "malformed",
  "",
] as const;

const NUMBERS = [
  "0",
  "-0",
  "1",
  "-1",
  "0.5",
  "1e20",
  "1e999",
  "-1e999",
  "1E-400",
  "9007199254740991",
  "9007199254740993",
];

const numbers = fc.oneof(
  fc.constantFrom(...NUMBERS),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => JSON.stringify(n)),
);
const strings = fc.oneof(
  fc.constantFrom(...NAMES, "ann", "bob", "\u2028", "\u0000", "\u001b[2J", '"', "\\"),
  fc.string({ unit: "binary", maxLength: 12 }),
  // Half characters, that only an escape can bring.
  fc.array(fc.integer({ min: 0xd7ff, max: 0xe000 }), { maxLength: 4 }).map((codes) => String.fromCharCode(...codes)),
);

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", maxDepth: 6 },
    fc
      .oneof(
        numbers,
        fc.constantFrom("null", "true", "false"),
        strings.map((s) => JSON.stringify(s)),
      )
      .map(leaf),
    fc.array(tie("tree"), { maxLength: 4 }).map((items): Tree => ({ items })),
    fc
      .array(fc.tuple(fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 6 })), tie("tree")), { maxLength: 4 })
      .map((entries): Tree => ({ entries })),
  ),
}));

/** Any JSON, and now and then JSON nested about as deep as is allowed. */
export const anyJson: Arbitrary<Tree> = fc.oneof(
  { weight: 30, arbitrary: tree },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 28, max: 36 }), fc.boolean())
      .map(([depth, list]) =>
        leaf(list ? "[".repeat(depth) + "]".repeat(depth) : `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`),
      ),
  },
);

/** What numbers and ids a frame is made of: small ones hit what is there, large ones the edges. */
export interface Palette {
  readonly refs: Arbitrary<number>;
  readonly offsets: Arbitrary<number>;
  readonly ids: Arbitrary<string>;
}

/** Everything that the protocol allows. */
export const wide: Palette = {
  refs: fc.oneof(
    fc.integer({ min: 1, max: 9 }),
    fc.maxSafeNat().map((n) => Math.max(1, n)),
  ),
  offsets: fc.oneof(fc.nat(9), fc.maxSafeNat()),
  ids: fc.oneof(
    fc.constantFrom("ann", "bob", "__proto__"),
    fc.string({ unit: "binary", minLength: 1, maxLength: 255 }),
  ),
};

/** A frame that docs/reference/protocol.md allows, its fields in any order. */
export function validFrame({ refs, offsets, ids }: Palette): Arbitrary<Tree> {
  const ref = refs.map((n): [string, Tree] => ["ref", leaf(String(n))]);
  const offset = offsets.map((n): [string, Tree] => ["offset", leaf(String(n))]);
  const data = tree.map((value): [string, Tree] => ["data", value]);
  const method = fc
    .oneof(fc.constantFrom("add", "__proto__", "constructor", "toString"), fc.string({ minLength: 1, maxLength: 64 }))
    .map((name): [string, Tree] => ["method", leaf(JSON.stringify(name))]);
  const to = fc
    .array(ids, { minLength: 1, maxLength: 3 })
    .map((list): [string, Tree] => ["to", { items: list.map((id) => leaf(JSON.stringify(id))) }]);
  const of = (type: string, ...fields: Arbitrary<[string, Tree]>[]) =>
    fc.tuple(fc.constant<[string, Tree]>(["type", leaf(JSON.stringify(type))]), ...fields);
  return fc
    .oneof(
      of("publish", ref, data),
      of("publish", ref, data, to),
      of("signal", data),
      of("signal", data, to),
      of("presence", data),
      of("call", ref, method),
      of("call", ref, method, data),
      of("ack", offset),
      of("sync", offset),
      { weight: 1, arbitrary: of("leave") },
    )
    .chain((entries) => fc.boolean().map((turn): Tree => ({ entries: turn ? entries.toReversed() : entries })));
}

/** Values at the very edge of what a method, an id or a list of ids may be, right or just past it. */
const edges = fc
  .oneof(
    fc.integer({ min: 63, max: 66 }).map((n) => JSON.stringify("m".repeat(n))),
    fc.integer({ min: 254, max: 257 }).map((n) => JSON.stringify(["ann", "i".repeat(n)])),
    fc.integer({ min: 99, max: 102 }).map((n) => JSON.stringify(Array<string>(n).fill("ann"))),
    fc.constantFrom('""', '[""]', "[]", "[[]]"),
  )
  .map(leaf);

/** A frame with one thing wrong, or at least odd: a field of another kind, missing, twice, or one too many. */
export function oddFrame(palette: Palette): Arbitrary<Tree> {
  return fc
    .tuple(
      validFrame(palette),
      fc.nat(9),
      fc.constantFrom("replace", "drop", "twice", "extra", "rename"),
      fc.oneof({ weight: 4, arbitrary: anyJson }, { weight: 1, arbitrary: edges }),
      fc.constantFrom(...NAMES),
    )
    .map(([frame, at, how, value, name]): Tree => {
      const entries = "entries" in frame ? [...frame.entries] : [];
      const i = at % entries.length;
      const [key = ""] = entries[i] ?? [];
      if (how === "replace") entries[i] = [key, value];
      else if (how === "drop") entries.splice(i, 1);
      else if (how === "twice") entries.push([key, value]);
      else if (how === "extra") entries.splice(i, 0, [name, value]);
      else entries[i] = [name, entries[i]?.[1] ?? value];
      return { entries };
    });
}

/** One frame of a message, right or not. */
export function anyFrame(palette: Palette): Arbitrary<Tree> {
  return fc.oneof(
    { weight: 5, arbitrary: validFrame(palette) },
    { weight: 4, arbitrary: oddFrame(palette) },
    { weight: 1, arbitrary: anyJson },
  );
}

/** What one socket sends at once. */
export interface Message {
  readonly text: string;
}

/** One message: a frame, a batch, or text that was cut, stuffed or made of anything. */
export function anyMessage(palette: Palette, maxBatch = 40): Arbitrary<Message> {
  const frame = anyFrame(palette);
  const alone = frame.map((one): Message => ({ text: print(one) }));
  const batch = fc
    .array(frame, { maxLength: maxBatch, size: "medium" })
    .map((list): Message => ({ text: print({ items: list }) }));
  const whole = fc.oneof({ weight: 3, arbitrary: alone }, { weight: 2, arbitrary: batch });
  const damaged = fc.tuple(whole, fc.nat(200), fc.nat(20), strings).map(([{ text }, at, cut, stuffing]) => {
    const i = at % (text.length + 1);
    return { text: text.slice(0, i) + stuffing + text.slice(i + cut) };
  });
  const crowd = fc.tuple(frame, fc.integer({ min: 250, max: 262 })).map(([one, n]) => ({
    text: `[${Array<string>(n).fill(print(one)).join(",")}]`,
  }));
  return fc.oneof(
    { weight: 60, arbitrary: whole },
    { weight: 12, arbitrary: damaged },
    { weight: 1, arbitrary: crowd },
    { weight: 3, arbitrary: strings.map((text) => ({ text })) },
  );
}
