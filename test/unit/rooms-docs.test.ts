/** docs/reference/rooms.md tells every option of a room with its default and bounds: here they are compared with the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { defineRoom, presenceKinds, toMs, type Duration } from "../../src/room/definition.ts";
import { MAX_TIMER_NAME, MAX_TIMERS } from "../../src/room/store/timers.ts";

const doc = readFileSync(join(import.meta.dirname, "../../docs/reference/rooms.md"), "utf8");
const source = (path: string) => readFileSync(join(import.meta.dirname, "../../src/room", path), "utf8");

/** The options that are numbers or spans, by the name that the document gives them. */
function documented(): Record<string, number> {
  const rows = [...doc.matchAll(/^\| `(?!presence)([\w.]+)` +\| `([^`]+)`[^|]*\|/gm)];
  const options = rows.map(([, name = "", value = ""]) => [name, toMs(JSON.parse(value) as Duration, name)] as const);
  return Object.fromEntries(options);
}

it("the document has every option of a room with its default, and no other", () => {
  const { hooks: _, methods: __, events, presence, heartbeat, rate, ...flat } = defineRoom({});
  expect(events).toBeUndefined();
  const [kind, ...others] = presenceKinds;
  expect(presence).toBe(kind);
  expect(doc).toMatch(
    new RegExp(`\\| \`presence\` +\\| \`"${kind}"\` +\\| and ${others.map((one) => `\`"${one}"\``).join(", ")} `),
  );
  const nested = { ...prefixed("heartbeat", heartbeat), ...prefixed("rate", rate) };
  expect(documented()).toEqual({ ...flat, ...nested });
});

it("the document has the bounds of options, requests and timers", () => {
  const commas = (bound: number) => bound.toLocaleString("en-US");
  for (const key of ["maxConnections", "maxConnectionsPerUser"] as const) {
    expect(() => defineRoom({ [key]: 32_001 })).toThrow(RangeError);
    expect(doc).toMatch(new RegExp(`\\| \`${key}\` [^|]*\\|[^|]*\\| 1 to ${commas(32_000)} `));
  }
  expect(() => defineRoom({ retain: 100_001 })).toThrow(RangeError);
  expect(doc).toContain(`0 to ${commas(100_000)}`);
  expect(doc).toContain(`a timer's name has 1 to ${MAX_TIMER_NAME} characters`);
  expect(doc).toContain(`at most ${commas(MAX_TIMERS)} timers`);
  const requests = Number(/MAX_REQUESTS = ([\d_]+)/.exec(source("core/turn.ts"))?.[1]?.replaceAll("_", ""));
  const depth = Number(/MAX_DEPTH = (\d+)/.exec(source("core/hooks.ts"))?.[1]);
  expect(doc).toContain(`make at most ${commas(requests)} requests`);
  expect(doc).toContain(`set off one another at most ${depth} times in a row`);
});

function prefixed(prefix: string, values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}.${name}`, value]));
}
