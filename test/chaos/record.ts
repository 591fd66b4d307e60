/**
 * What is written down while chaos runs: every event of every client and every fault, one JSON line each, with the
 * moment it happened on a clock that all processes of this machine share. Writes them, and reads many files as one
 * history.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import { brief } from "./saying.ts";

/** A program with the SDK, or one that speaks the protocol by itself over the `ws` package. */
export type Sort = "sdk" | "raw";

/** Something that happened. `client` is its name, `conn` one connection of it. Data stands in its short form. */
export type Happening =
  | {
      readonly what: "begin";
      readonly client: string;
      readonly user: string;
      readonly room: string;
      readonly sort: Sort;
    }
  | {
      readonly what: "dial";
      readonly client: string;
      readonly conn: string;
      readonly user: string;
      readonly room: string;
      readonly session?: string | undefined;
      readonly epoch?: string | undefined;
      readonly offset?: number | undefined;
    }
  | { readonly what: "in"; readonly client: string; readonly conn: string; readonly frames: readonly ServerFrame[] }
  | { readonly what: "out"; readonly client: string; readonly conn: string; readonly frames: readonly ClientFrame[] }
  | { readonly what: "lost"; readonly client: string; readonly conn: string; readonly code: number }
  /** A program's view of the SDK: what it asked for and what it was told. */
  | { readonly what: "say"; readonly client: string; readonly data: string }
  | { readonly what: "settled"; readonly client: string; readonly data: string; readonly offset: number }
  | { readonly what: "failed"; readonly client: string; readonly data: string; readonly code: string }
  | {
      readonly what: "item";
      readonly client: string;
      readonly offset: number;
      readonly by: string;
      readonly data: string;
    }
  | { readonly what: "reset"; readonly client: string; readonly offset: number; readonly reason: string }
  | { readonly what: "resumed"; readonly client: string; readonly offset: number }
  | { readonly what: "state"; readonly client: string; readonly name: string; readonly reason?: string | undefined }
  | { readonly what: "renewed"; readonly client: string }
  /** The program closed it for good. */
  | { readonly what: "over"; readonly client: string }
  /** How it was when everything had settled; `members` are `id data`. */
  | {
      readonly what: "final";
      readonly client: string;
      readonly conn: string;
      readonly open: boolean;
      readonly position: number;
      readonly pending: number;
      readonly members: readonly string[];
      /** How many members it knew of, where the room tells only that. */
      readonly count?: number | undefined;
    }
  /** An operator ends every session of a user: before that is asked for, and when it was answered. */
  | { readonly what: "ending" | "ended"; readonly user: string; readonly room: string }
  | { readonly what: "fault"; readonly fault: string; readonly target: string; readonly detail?: string | undefined };

/** A happening and its moment, in ms since 1970 with fractions. */
export type Event = Happening & { readonly t: number };

const MONOTONIC = () => Number(process.hrtime.bigint()) / 1e6;
/** What to add to the machine's monotonic clock; the first process says, and tells the others. */
let base = Date.now() - MONOTONIC();

/** The shared clock: never goes back, the same in every process of a run. */
export const clock = {
  get base(): number {
    return base;
  },
  /** Takes the main process's word for it. */
  share(told: number): void {
    base = told;
  },
  now(): number {
    return base + MONOTONIC();
  },
};

/** Writes one process's events to a file. */
export class Recorder {
  readonly #file: number;
  #lines: string[] = [];
  #length = 0;

  constructor(path: string) {
    this.#file = openSync(path, "a");
  }

  note(happening: Happening): void {
    const line = JSON.stringify({ t: Math.round(clock.now() * 1e3) / 1e3, ...happening });
    this.#lines.push(line);
    this.#length += line.length;
    if (this.#length > 262_144) this.flush();
  }

  flush(): void {
    if (this.#lines.length > 0) writeSync(this.#file, `${this.#lines.join("\n")}\n`);
    this.#lines = [];
    this.#length = 0;
  }
}

/** Frames as they are noted: with the short form of what was said. */
export function noted<F extends ServerFrame | ClientFrame>(frames: readonly F[]): F[] {
  return frames.map((frame): F => {
    if (frame.type === "publish") return { ...frame, data: brief(frame.data) };
    if (frame.type === "pub") return { ...frame, items: frame.items.map(shortened) };
    if (frame.type === "snapshot" && Array.isArray(frame.data)) {
      return { ...frame, data: (frame.data as { data: unknown }[]).map(shortened) };
    }
    return frame;
  });
}

function shortened<T extends { readonly data: unknown }>(item: T): T {
  return { ...item, data: brief(item.data) };
}

/** The events of many files, in the order of their moments. */
export function* history(paths: readonly string[]): Generator<Event> {
  const readers = paths.map((path) => linesOf(path));
  const heads = readers.map((lines) => parsed(lines));
  for (;;) {
    let first = -1;
    for (const [i, head] of heads.entries()) {
      if (head && (first < 0 || head.t < (heads[first]?.t ?? 0))) first = i;
    }
    const event = heads[first];
    const reader = readers[first];
    if (!event || !reader) return;
    heads[first] = parsed(reader);
    yield event;
  }
}

function parsed(lines: Generator<string>): Event | undefined {
  const next = lines.next();
  return next.done ? undefined : (JSON.parse(next.value) as Event);
}

function* linesOf(path: string): Generator<string> {
  const file = openSync(path, "r");
  const chunk = Buffer.alloc(1_048_576);
  let rest: Buffer = Buffer.alloc(0);
  try {
    for (;;) {
      const length = readSync(file, chunk);
      if (length === 0) break;
      const bytes = Buffer.concat([rest, chunk.subarray(0, length)]);
      const end = bytes.lastIndexOf(10);
      rest = Buffer.from(bytes.subarray(end + 1));
      if (end >= 0) yield* bytes.toString("utf8", 0, end).split("\n");
    }
  } finally {
    closeSync(file);
  }
}
