/** The messages between the bench and the generator: jobs, and what each comes to. */
import type { Latency } from "../measure/stats.ts";
import type { dialects } from "./dialects.ts";

/** A server under load. */
export interface Target {
  readonly dialect: keyof typeof dialects;
  readonly port: number;
  /** Path of a room, with `{room}` in it. */
  readonly path: string;
  /** The server's process: its CPU time is read. */
  readonly pid: number;
}

/** One job. The crowd of `open` stays for the jobs after it. */
export type Job =
  /** Connects `rooms` times `members` clients, `concurrency` at a time. */
  | { readonly type: "open"; readonly target: Target; readonly crowd: Crowd }
  /** So many publications, one at a time: the next one `gap` ms after everyone has the last. */
  | { readonly type: "lone"; readonly publications: number; readonly gap: number }
  /** `publishers` in each room keep `window` publications in flight. */
  | { readonly type: "saturate"; readonly publishers: number; readonly window: number; readonly ms: number }
  /** `returning` clients lose their network, miss so many publications, and resume at once. */
  | { readonly type: "resume"; readonly missed: number; readonly returning: number }
  /** `senders` of each room each send every `every` ms, evenly spread. Nobody waits for signals. */
  | {
      readonly type: "pace";
      readonly what: "publish" | "signal";
      readonly senders: number;
      readonly every: number;
      readonly ms: number;
    }
  /** Does nothing for so long. */
  | { readonly type: "idle"; readonly ms: number };

/** The clients that connect. */
export interface Crowd {
  /** The room's name, or the beginning of the names of several rooms. */
  readonly room: string;
  readonly rooms: number;
  readonly members: number;
  readonly concurrency: number;
  /** Users are numbered from here; 0 when absent. */
  readonly first?: number;
}

/** What a job measured. */
export interface Reading {
  /** Wall time in ms, without the pause in which the server finishes. */
  readonly ms: number;
  /** CPU time of the server in ms, with the pause. */
  readonly cpu: number;
  /** The server's memory in bytes, before and after. */
  readonly rss: readonly [number, number];
  /** How often the server's threads woke up. */
  readonly wakes: number;
  readonly publications: number;
  /** Publications received, over all sockets. */
  readonly deliveries: number;
  /** WebSocket messages received, over all sockets. */
  readonly messages: number;
  /** Acks of credit sent, over all sockets. */
  readonly acks: number;
  /** Publications and signals that a `pace` job sent. */
  readonly sent?: number;
  /** From publish to delivery (lone), or to the publisher's own copy (saturated), or of a connection, in ms. */
  readonly latency?: Latency;
  /** From publish until the last socket has it, in ms. */
  readonly everyone?: Latency;
  /** The generator's own CPU time as a share of one core, and the 99th percentile of its event loop's lateness in ms. */
  readonly generator: { readonly cpu: number; readonly late: number };
}

/** An answer. */
export type Answer = { readonly ok: true; readonly reading: Reading } | { readonly ok: false; readonly error: string };
