/** What the generator can be told to do, and what it answers: the messages between it and the bench. */
import type { Latency } from "../measure/stats.ts";
import type { dialects } from "./dialects.ts";

/** A server to speak to. */
export interface Target {
  readonly dialect: keyof typeof dialects;
  readonly port: number;
  /** Path of a room, with `{room}` in it. */
  readonly path: string;
  /** The server's process, whose CPU time is read. */
  readonly pid: number;
}

/** One thing to do; the crowd that `open` made stays for the jobs after it. */
export type Job =
  /** Connects `rooms` times `members` clients, `concurrency` at a time. */
  | { readonly type: "open"; readonly target: Target; readonly crowd: Crowd }
  /** One publication at a time: the next one `gap` ms after everyone has the last. */
  | { readonly type: "lone"; readonly ms: number; readonly gap: number }
  /** `publishers` in each room keep `window` publications on their way. */
  | { readonly type: "saturate"; readonly publishers: number; readonly window: number; readonly ms: number }
  /** All but the publisher lose their network, miss so many publications, and come back at once. */
  | { readonly type: "resume"; readonly missed: number; readonly returning: number }
  /** `senders` of each room each say something every `every` ms, evenly spread; signals are not waited for. */
  | {
      readonly type: "pace";
      readonly what: "publish" | "signal";
      readonly senders: number;
      readonly every: number;
      readonly ms: number;
    }
  /** Nothing, for so long. */
  | { readonly type: "idle"; readonly ms: number };

/** Who connects. */
export interface Crowd {
  /** The room's name, or its beginning where there are several. */
  readonly room: string;
  readonly rooms: number;
  readonly members: number;
  readonly concurrency: number;
  /** Users are numbered from here; 0 when absent. */
  readonly first?: number;
}

/** What a job came to. */
export interface Reading {
  /** Wall time in ms. */
  readonly ms: number;
  /** CPU time of the server in ms. */
  readonly cpu: number;
  /** The server's memory in bytes, before and after. */
  readonly rss: readonly [number, number];
  /** Times that the server's threads woke up. */
  readonly wakes: number;
  readonly publications: number;
  /** Publications received, over all sockets. */
  readonly deliveries: number;
  /** WebSocket messages received, over all sockets. */
  readonly messages: number;
  /** From publish to delivery (lone), or to the publisher's own copy (saturated), or of a connection, in ms. */
  readonly latency?: Latency;
  /** From publish until the last socket has it, in ms. */
  readonly everyone?: Latency;
  /** The generator's own CPU time as a share of one core, and the 99th percentile of its event loop's lateness in ms. */
  readonly generator: { readonly cpu: number; readonly late: number };
}

/** An answer. */
export type Answer = { readonly ok: true; readonly reading: Reading } | { readonly ok: false; readonly error: string };
