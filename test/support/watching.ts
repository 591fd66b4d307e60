/** What an operator has of a room and its Worker: log lines, `GET /metrics`, `GET /failures`. */
import { runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { Alert } from "../../src/ops/failures.ts";
import type { EndRecord } from "../../src/room/telemetry/end.ts";
import type { FailureRecord } from "../../src/room/telemetry/failure.ts";
import type { Room } from "../../src/room.ts";
import { door } from "./door.ts";
import type { TestedRoom } from "./room.ts";

/** One line of the log. */
export interface Line {
  readonly level: string;
  readonly code: string;
  readonly source: string;
  readonly [field: string]: unknown;
}

/** Reads the log until `vi.restoreAllMocks()`. */
export class Log {
  /** As they were written. */
  readonly texts: string[] = [];

  constructor() {
    for (const stream of ["error", "warn"] as const) {
      vi.spyOn(console, stream).mockImplementation((...said: unknown[]) => {
        this.texts.push(said.map(String).join(" "));
      });
    }
  }

  get lines(): Line[] {
    return this.texts.map((text) => JSON.parse(text) as Line);
  }

  of(code: string): Line[] {
    return this.lines.filter((line) => line.code === code);
  }
}

/** What {@link watched} takes from a scraper. */
export const METRICS_TOKEN = "a-token-for-who-scrapes";

/** The Worker under test, every kind of room of it, with a token for a scraper. */
export const watched = door(
  { rooms: { relay: "RELAY", chat: "CHAT", small: "SMALL", fast: "FAST", heartbeat: "HEARTBEAT", events: "EVENTS" } },
  { METRICS_TOKEN },
);

/** One reading of `GET /metrics`. */
export class Reading {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** The value of a series as it is written, such as `rooms{kind="relay"}`; 0 when there is none. */
  of(series: string): number {
    const start = `edgerooms_${series} `;
    const line = this.text.split("\n").find((each) => each.startsWith(start));
    return line === undefined ? 0 : Number(line.slice(start.length));
  }
}

/** Reads `GET /metrics` as a scraper does. */
export async function scrape(): Promise<Reading> {
  const response = await watched(
    new Request("http://edge.test/metrics", { headers: { authorization: `Bearer ${METRICS_TOKEN}` } }),
  );
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return new Reading(await response.text());
}

/** Replaces parts of a room's object that is in memory, until it is evicted. What is put there is as real as what was. */
export async function equip(
  room: TestedRoom,
  parts: {
    definition?: Room["definition"];
    env?: object;
    onAlert?: (alert: Alert) => Promise<void> | void;
    report?: (note: FailureRecord) => void;
    ended?: (end: EndRecord) => void;
  },
): Promise<void> {
  await runInDurableObject(room.stub, (object) => {
    const { env, ...rest } = parts;
    const target = object as unknown as { env: object };
    Object.assign(target, rest);
    if (env) target.env = { ...target.env, ...env };
  });
}

let made = 0;

/** A request's id and trace, as the one who asks sends them, and as log lines have them. */
export function marked() {
  const n = String(++made).padStart(4, "0");
  const requestId = `00000000-0000-4000-8000-00000000${n}`;
  const traceId = `4bf92f3577b34da6a3ce929d0e0e${n}`;
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  return {
    headers: { "x-request-id": requestId, traceparent },
    ids: { requestId, traceId },
    traceparent,
  };
}
