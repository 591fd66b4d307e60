/**
 * docs/reference/protocol.md is normative, the code is what runs: here they are compared. Whatever one of them lists and the other
 * does not, or says otherwise, fails. The transcripts are compared where rooms run, in test/workerd/docs.test.ts.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, expectTypeOf, it } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { codes, texts, isRetryable, nextStep, type CodeName } from "../../src/protocol/codes.ts";
import {
  clientFrameTypes,
  resetReasons,
  serverFrameTypes,
  type ClientFrame,
  type FrameError,
  type Limits,
  type Member,
  type Publication,
  type ResetReason,
  type ServerFrame,
} from "../../src/protocol/frames.ts";
import * as shared from "../../src/protocol/limits.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { BACKLOG_BYTES } from "../../src/room/rules/backlog.ts";
import { CREDIT_BYTES, CREDIT_ITEMS } from "../../src/room/rules/connection.ts";
import { doc, examples, fields, headings, section, shape, table } from "../support/protocol-doc.ts";

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url).href), "utf8");
const { MAX_BATCH, MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_PRESENCE_BYTES } = shared;
const { MAX_RECIPIENTS, MAX_USER_ID, REMEMBERED_REFS } = shared;

// What the code says.

/** A type's fields and whether each is always there: adding, renaming or loosening a field stops the compiler here. */
type Shape<T> = { readonly [K in keyof T]-?: T extends Required<Pick<T, K>> ? "always" : "optional" };
type Frames<F extends { readonly type: string }> = { readonly [K in F as K["type"]]: Shape<Omit<K, "type">> };

const clientFields = {
  publish: { ref: "always", after: "optional", data: "always", to: "optional", traceparent: "optional" },
  signal: { data: "always", to: "optional", scope: "optional" },
  presence: { data: "always" },
  call: { ref: "always", method: "always", data: "always" },
  ack: { offset: "always" },
  sync: { offset: "always" },
  leave: {},
} as const satisfies Frames<ClientFrame>;

const serverFields = {
  welcome: {
    session: "always",
    member: "always",
    epoch: "always",
    offset: "always",
    resumed: "always",
    reason: "optional",
    ref: "always",
    heartbeat: "always",
    limits: "always",
    expires: "always",
    now: "optional",
    members: "always",
    count: "optional",
  },
  pub: { from: "always", upto: "always", items: "always" },
  ack: { ref: "always", offset: "always", at: "always" },
  signal: { by: "always", data: "always" },
  presence: { join: "optional", leave: "optional", update: "optional", members: "optional", count: "optional" },
  reply: { ref: "always", data: "optional", error: "optional" },
  epoch: { epoch: "always" },
  heartbeat: { offset: "always", next: "always", ack: "optional" },
  error: {
    ref: "optional",
    frame: "optional",
    code: "always",
    message: "always",
    retryable: "always",
    retryAfter: "optional",
  },
  snapshot: { data: "always", offset: "always", reason: "always" },
  goaway: { within: "always", reason: "always" },
  bye: { code: "always", reason: "always", message: "optional", retryAfter: "optional" },
} as const satisfies Frames<ServerFrame>;

const objectFields = {
  Publication: {
    offset: "always",
    by: "always",
    at: "always",
    data: "always",
    to: "optional",
    traceparent: "optional",
  },
  Member: { id: "always", name: "optional", data: "optional" },
  Limits: { message: "always", batch: "always", rate: "always", burst: "always", refs: "always" },
  Heartbeat: { next: "always" },
  Error: { code: "always", message: "always", retryable: "always", retryAfter: "optional" },
} as const satisfies {
  Publication: Shape<Publication>;
  Member: Shape<Member>;
  Limits: Shape<Limits>;
  Heartbeat: Shape<Extract<ServerFrame, { type: "welcome" }>["heartbeat"]>;
  Error: Shape<FrameError>;
};

/** A number that only the source has: a constant nobody exports, or a property of one. */
function inSource(path: string, name: string): number {
  const found = new RegExp(`\\b${name}(?: =|:) (\\d[\\d_ *]*)`).exec(read(path))?.[1];
  if (found === undefined) throw new Error(`${path} has no number called ${name}`);
  return found.split("*").reduce((product, factor) => product * Number(factor.replaceAll("_", "").trim()), 1);
}

function longestMethod(): number {
  for (let length = 1; length <= 1_000; length++) {
    const [frame] = decode(JSON.stringify({ type: "call", ref: 1, method: "m".repeat(length) }), MAX_MESSAGE_BYTES);
    if (frame?.type === "malformed") return length - 1;
  }
  return Infinity;
}

const commas = (value: number) => value.toLocaleString("en-US");

const definition = defineRoom({});
const limits: Readonly<Record<string, number>> = {
  "definition.maxMessage": definition.maxMessage,
  ...shared,
  readFrame: longestMethod(),
  "4 * MAX_PRESENCE_BYTES": 4 * MAX_PRESENCE_BYTES,
  MAX_ROOM_PRESENCE: inSource("src/room/store/sessions.ts", "MAX_ROOM_PRESENCE"),
  "definition.rate.perSecond": definition.rate.perSecond,
  "definition.rate.burst": definition.rate.burst,
  "COST.usual": inSource("src/room/core/frames.ts", "usual"),
  "COST.sync": inSource("src/room/core/frames.ts", "sync"),
  "COST.malformed": inSource("src/room/core/frames.ts", "malformed"),
  CREDIT_ITEMS,
  CREDIT_BYTES,
  BACKLOG_BYTES,
  ASK_AFTER_BYTES: inSource("src/room/rules/backlog.ts", "ASK_AFTER_BYTES"),
  MAX_WAITING: 16 * inSource("src/room/runtime/scheduler.ts", "MAX_EVENTS"),
  FAIR_FRAMES: inSource("src/room/runtime/scheduler.ts", "FAIR_FRAMES"),
  MAX_LENGTH: inSource("src/room/runtime/scheduler.ts", "MAX_LENGTH"),
  "OVERLOADED.retryAfter": inSource("src/room/runtime/host.ts", "retryAfter"),
  MESSAGE_LENGTH: inSource("src/room/runtime/fanout.ts", "MESSAGE_LENGTH"),
  PUB_LENGTH: inSource("src/room/runtime/fanout.ts", "PUB_LENGTH"),
  "BACKLOG_BYTES / 2": BACKLOG_BYTES / 2,
  "definition.retain": definition.retain,
  DEFAULT_SNAPSHOT: inSource("src/room/core/resume.ts", "DEFAULT_SNAPSHOT"),
  CHUNK_BYTES: inSource("src/room/core/resume.ts", "CHUNK_BYTES"),
  "definition.heartbeat.every": definition.heartbeat.every,
  "definition.heartbeat.idle": definition.heartbeat.idle,
  "definition.heartbeat.misses": definition.heartbeat.misses,
  EVERY_MS: inSource("src/room/rules/headcount.ts", "EVERY_MS"),
  EVERY_MS_EACH: inSource("src/room/rules/headcount.ts", "EVERY_MS_EACH"),
  "definition.grace": definition.grace,
  "definition.resumeWindow": definition.resumeWindow,
  "definition.maxConnectionsPerUser": definition.maxConnectionsPerUser,
  BYE_GRACE_MS: inSource("src/room/runtime/dismissed.ts", "BYE_GRACE_MS"),
  MAX_REASON_BYTES: inSource("src/protocol/close.ts", "MAX_REASON_BYTES"),
};

const clientDoc = section("## 5. Client frames");
const serverDoc = section("## 6. Server frames");
const objectDoc = section("## 7. Objects in frames");
const codesDoc = section("## 18. Codes");

/** Everything wrong with a value that is said to be of a documented type. */
function misfits(value: unknown, type: string, path: string): string[] {
  const wrong = [`${path} is not ${type}: ${JSON.stringify(value)}`];
  const is = (fits: boolean) => (fits ? [] : wrong);
  if (type.endsWith("[]")) {
    if (!Array.isArray(value)) return wrong;
    return value.flatMap((item, i) => misfits(item, type.slice(0, -2), `${path}[${i}]`));
  }
  switch (type) {
    case "JSON":
      return is(value !== undefined);
    case "string or null":
      return is(value === null || typeof value === "string");
    case "string":
    case "boolean":
    case "number":
      return is(typeof value === type);
    case "integer":
      return is(Number.isSafeInteger(value) && Number(value) >= 0);
    case "Code":
      return is(Object.hasOwn(codes, String(value)));
    case "ResetReason":
      return is(resetReasons.includes(value as ResetReason));
    default:
      return misfitsOfObject(value, fields(section(`### ${type}`, objectDoc)), path);
  }
}

function misfitsOfObject(value: unknown, documented: ReturnType<typeof fields>, path: string): string[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [`${path} is not an object`];
  const unknown = Object.keys(value).filter((name) => !documented.has(name));
  const found = unknown.map((name) => `${path}.${name} is not documented`);
  for (const [name, { type, sent }] of documented) {
    if (Object.hasOwn(value, name)) {
      found.push(...misfits((value as Record<string, unknown>)[name], type, `${path}.${name}`));
    } else if (sent === "always") found.push(`${path}.${name} is missing`);
  }
  return found;
}

describe("frames", () => {
  it("the lists of types hold every frame of the unions", () => {
    expectTypeOf<(typeof clientFrameTypes)[number]>().toEqualTypeOf<ClientFrame["type"]>();
    expectTypeOf<(typeof serverFrameTypes)[number]>().toEqualTypeOf<ServerFrame["type"]>();
    expect([...clientFrameTypes]).toEqual(Object.keys(clientFields));
    expect([...serverFrameTypes]).toEqual(Object.keys(serverFields));
  });

  it("the document has a heading for every type, and no other", () => {
    expect(headings(clientDoc)).toEqual([...clientFrameTypes]);
    expect(headings(serverDoc)).toEqual([...serverFrameTypes]);
    expect(headings(objectDoc)).toEqual(Object.keys(objectFields));
  });

  for (const type of clientFrameTypes) {
    it(`client ${type}: the same fields, and examples that decode to it`, () => {
      const text = section(`### ${type}`, clientDoc);
      const documented = fields(text);
      expect([...documented.keys()]).toEqual(Object.keys(clientFields[type]));
      expect(examples(text)).not.toHaveLength(0);
      for (const example of examples(text)) {
        const frame = JSON.parse(example) as Record<string, unknown>;
        // The decoder drops what it does not know: an example that comes back whole has known fields alone.
        expect(decode(example, MAX_MESSAGE_BYTES)).toEqual([frame]);
        const { type: named, ...rest } = frame;
        expect(named).toBe(type);
        expect(Object.keys(rest)).toEqual([...documented.keys()]);
        expect(misfitsOfObject(rest, documented, type)).toEqual([]);
        for (const [name, { sent }] of documented) {
          const { [name]: _, ...without } = frame;
          const [left] = decode(JSON.stringify(without), MAX_MESSAGE_BYTES);
          expect(left?.type === "malformed" ? "always" : "optional", `${type}.${name}`).toBe(sent);
        }
      }
    });
  }

  for (const type of serverFrameTypes) {
    it(`server ${type}: the same fields, and examples that have them`, () => {
      const text = section(`### ${type}`, serverDoc);
      const documented = fields(text);
      expect(shape(documented)).toEqual(serverFields[type]);
      const frames = examples(text).map((example) => JSON.parse(example) as Record<string, unknown>);
      const shown = new Set<string>();
      for (const frame of frames) {
        const { type: named, ...rest } = frame;
        expect(named).toBe(type);
        expect(misfitsOfObject(rest, documented, type)).toEqual([]);
        for (const name of Object.keys(rest)) shown.add(name);
      }
      expect([...documented.keys()].filter((name) => !shown.has(name))).toEqual([]);
    });
  }

  for (const [name, code] of Object.entries(objectFields)) {
    it(`object ${name}: the same fields`, () => {
      expect(shape(fields(section(`### ${name}`, objectDoc)))).toEqual(code);
    });
  }

  it("an example never says what the codes table does not", () => {
    const frames = examples(serverDoc).map((example) => JSON.parse(example) as ServerFrame);
    const byes = frames.filter((frame) => frame.type === "bye");
    const errors = frames.flatMap((frame) => (frame.type === "reply" ? (frame.error ?? []) : frame));
    const told = errors.filter((error) => "retryable" in error);
    expect(byes.map(({ code }) => code)).toEqual(byes.map(({ reason }) => codes[reason].close));
    expect(told.map(({ retryable }) => retryable)).toEqual(
      told.map(({ code, retryAfter }) => isRetryable(code) || retryAfter !== undefined),
    );
    expect([byes.length, told.length]).not.toContain(0);
  });
});

describe("codes", () => {
  it("the table has every code with its status, close code and next step, and no other", () => {
    const rows = table(codesDoc, "Code").map(([name, http, close, next, meaning]) => {
      expect(meaning, `${name} has a meaning`).toMatch(/\.$/);
      return { name, http: Number(http), close: close === "-" ? null : Number(close), next };
    });
    expect(rows).toEqual(Object.entries(codes).map(([name, { http, close, next }]) => ({ name, http, close, next })));
  });

  it("the bands decide as documented for every close code that is not in the table", () => {
    const bands = table(codesDoc, "From").map(([from, to, next]) => ({ from: Number(from), to: Number(to), next }));
    expect(bands).not.toHaveLength(0);
    for (let close = 1_000; close <= 4_999; close++) {
      if (Object.values(codes).some((code) => code.close === close)) continue;
      const band = bands.find(({ from, to }) => from <= close && close <= to);
      expect(band?.next ?? "later", `after ${close}`).toBe(nextStep(close));
    }
  });

  it("every next step is explained", () => {
    const explained = [...codesDoc.matchAll(/^- `(\w+)`:/gm)].map((match) => match[1]);
    expect(new Set(explained)).toEqual(new Set(Object.values(codes).map(({ next }) => next)));
  });

  it("the example of a problem is one", () => {
    const text = section("### Problems", codesDoc);
    const [body, ...others] = examples(text).map((example) => JSON.parse(example) as Record<string, unknown>);
    expect(others).toEqual([]);
    expect(Object.keys(body ?? {})).toEqual([...fields(text).keys()]);
    const code = body?.["code"] as CodeName;
    const { http } = codes[code];
    const title = texts[code];
    expect(body).toMatchObject({ type: `urn:edgerooms:problem:${code}`, title, status: http });
  });
});

it("every reset reason is in its table, with what it means and what to do", () => {
  const rows = table(section("## 11. Resume and reset"), "Reason");
  expect(rows.map(([reason]) => reason)).toEqual([...resetReasons]);
  for (const [reason, meaning, action] of rows) {
    expect(meaning, `${reason} means something`).not.toBe("");
    expect(action, `${reason} is followed by something`).not.toBe("");
  }
});

describe("limits", () => {
  it("the table has every limit with its number, and no other", () => {
    const rows = table(section("### Limits", section("## 4. Messages")), "What");
    const documented = rows.map(([, number, , name]) => [name, Number(number?.replaceAll(",", ""))]);
    expect(Object.fromEntries(documented)).toEqual(limits);
    expect(documented).toHaveLength(Object.keys(limits).length);
  });

  const { heartbeat, grace, resumeWindow } = definition;
  const prose = doc.replace(/\s+/g, " ");
  it.each([
    `an array of 1 to ${MAX_BATCH} JSON objects`,
    `so \`data\` can nest ${MAX_DEPTH - 1} more`,
    `1 to ${MAX_RECIPIENTS} ids`,
    `\`sub\`, 1 to ${MAX_USER_ID} printable characters`,
    `1 to ${longestMethod()} UTF-16 units`,
    `those of the session's last ${REMEMBERED_REFS} publications`,
    `A room sends a heartbeat every ${heartbeat.every / 1_000} s.`,
    `up to ${heartbeat.idle / 1_000} s`,
    `with ${["no", "one", "two", "three"][heartbeat.misses]} misses in a row`,
    `when ${grace / 1_000} s (the deployer's grace) have passed`,
    `can be resumed for ${resumeWindow === 3_600_000 ? "an hour" : "another time"}`,
    `has ${limits["definition.maxConnectionsPerUser"] === 100 ? "a hundred" : "other"} newer dropped sessions`,
    `${commas(CREDIT_ITEMS)} offsets or ${CREDIT_BYTES / 1_048_576} MiB of \`pub\` frames`,
    `(about ${BACKLOG_BYTES / 1_048_576} MiB) is ended with \`slow\``,
    `(about ${BACKLOG_BYTES / 2 / 1_048_576} MiB). Only without credit.`,
    `${limits["COST.usual"]}, but ${limits["COST.sync"]} for \`sync\`, and ${limits["COST.malformed"]} for each malformed`,
    `larger than ${commas(MAX_PRESENCE_BYTES)} bytes`,
    `would exceed ${commas(limits["MAX_ROOM_PRESENCE"] ?? 0)} UTF-16 units`,
    `hold at most ${commas(4 * MAX_PRESENCE_BYTES)} UTF-16 units together`,
    `together are longer than ${commas(limits["MESSAGE_LENGTH"] ?? 0)} UTF-16 units`,
    `${commas(limits["MAX_WAITING"] ?? 0)} events wait in it, or messages of ${(limits["MAX_LENGTH"] ?? 0) / 1_048_576} Mi`,
    `have a bound of their own, ${commas(limits["MAX_WAITING"] ?? 0)}.`,
    `a \`retryAfter\` of ${commas(limits["OVERLOADED.retryAfter"] ?? 0)} ms`,
    `leaves more than ${(limits["ASK_AFTER_BYTES"] ?? 0) / 1_024} KiB unread`,
    `after ${Number(limits["BYE_GRACE_MS"]) / 1_000} s at most`,
    `cut to ${limits["MAX_REASON_BYTES"]} bytes`,
    `The body is at most ${commas(inSource("src/http/app.ts", "maxSize"))} bytes`,
  ])("the text says: %s", (sentence) => {
    expect(prose).toContain(sentence);
  });
});
