/**
 * Every code of the table through the whole pipeline: provoked for real, and then in one place what the client was told,
 * what the log says and what was counted.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { codes, type CodeName } from "../../src/protocol/codes.ts";
import { accidents } from "../support/accidents.ts";
import { endings } from "../support/endings.ts";
import { eventually } from "../support/patience.ts";
import { PAYLOAD, scene, type Provoked, type Ways } from "../support/provoking.ts";
import { refusals } from "../support/refusals.ts";
import { Log, scrape } from "../support/watching.ts";

const KEYS = [
  "level",
  "code",
  "source",
  "kind",
  "room",
  "session",
  "user",
  "requestId",
  "traceId",
  "message",
  "leftOut",
  "lasted",
];
const all = Object.keys(codes) as CodeName[];

beforeEach(() => {
  scene.log = new Log();
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Every way to a code. */
function ways(code: CodeName): NonNullable<Ways[CodeName]> {
  return { ...refusals[code], ...endings[code], ...accidents[code] };
}

it("there is a way to every code", () => {
  expect(all.filter((code) => Object.keys(ways(code)).length === 0)).toEqual([]);
});

/** By kind, what was counted of a code so far. */
async function counted(code: CodeName): Promise<Record<string, { errors: number; closes: number }>> {
  const reading = await scrape();
  const of = (kind: string) => ({
    errors: reading.of(`errors_total{kind="${kind}",code="${code}"}`),
    closes: reading.of(`closes_total{kind="${kind}",code="${code}"}`),
  });
  return Object.fromEntries(kinds.map((kind) => [kind, of(kind)]));
}

function without(line: object, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(line).filter(([field]) => !fields.includes(field)));
}

const isEnd = ({ source }: { readonly source?: unknown }) => source === "connection";
const isFailure = (line: { readonly source?: unknown }) => !isEnd(line);

const kinds = ["", "relay", "chat", "small", "fast", "heartbeat"];

describe.each(all)("%s", (code) => {
  it.each(Object.keys(ways(code)))("%s", async (way) => {
    scene.open = [];
    const before = await counted(code);
    const provoke = ways(code)[way] as () => Promise<Provoked>;
    const { kind = "", errors, closes = 0, lines } = await provoke();
    // With the last member a room tells what it has counted.
    await Promise.all(scene.open.filter(({ closed }) => !closed).map((client) => client.close()));
    const was = before[kind] ?? { errors: 0, closes: 0 };
    const after = { ...before, [kind]: { errors: was.errors + errors, closes: was.closes + closes } };
    await eventually(async () => expect(await counted(code)).toEqual(after));

    const { severity } = codes[code];
    const written = scene.log.of(code);
    const seen = written.map((line) => without(line, ["message", "leftOut", "level", "code", "lasted"]));
    // At most 30 a minute: alerts.test.ts. The end of a connection is not one of them.
    const [frames, ends] = [isFailure, isEnd].map((is) => lines.filter(is));
    const most = lines.length > 20 ? seen.filter(isFailure).length : lines.length;
    expect(seen.filter(isFailure)).toEqual(frames?.slice(0, most));
    expect(seen.filter(isEnd), "T18: the end, whatever was refused before it").toEqual(ends);
    if (severity === "info") expect(written).toEqual([]);
    else expect(written.length).toBeGreaterThan(0);
    for (const line of written) {
      expect(line.level).toBe(severity);
      expect(Object.keys(line).filter((key) => !KEYS.includes(key))).toEqual([]);
      const { message = "" } = line as { message?: string };
      expect(message.length).toBeLessThanOrEqual(300);
    }
    expect(scene.log.lines.filter((line) => !all.includes(line.code as CodeName))).toEqual([]);
    for (const text of scene.log.texts) {
      expect(text).not.toMatch(/eyJ|\n|\\n/);
      expect(text).not.toContain(PAYLOAD);
      expect(text.length).toBeLessThan(1_000);
    }
  });
});
