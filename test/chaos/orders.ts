/** What the main process and the processes with the clients say to each other. Types only. */
import type { Sort } from "./record.ts";

/** One client to run. */
export interface Plan {
  readonly name: string;
  readonly sort: Sort;
  readonly user: string;
  /** `kind/name`. */
  readonly room: string;
  /** Its own way through the network. */
  readonly port: number;
  readonly credit: boolean;
  /** Seconds that its tokens live. */
  readonly ttl: number;
  /** Some of its tokens have run out, or nearly, when they are handed over. */
  readonly sloppy: boolean;
  readonly seed: number;
  /** Users of the same room, to address. */
  readonly others: readonly string[];
  /** Publishes a second. */
  readonly pace: number;
}

/** From the main process. */
export type Order =
  | {
      readonly order: "begin";
      readonly plans: readonly Plan[];
      readonly record: string;
      readonly base: number;
      readonly secret: string;
    }
  /** The process id of workerd, to end it should the main process vanish. */
  | { readonly order: "guard"; readonly pid: number }
  /** The SDK's clock is wrong by so many ms more. */
  | { readonly order: "jump"; readonly client: string; readonly by: number }
  /** Someone copies a tab with its storage, and closes the copy later. */
  | { readonly order: "duplicate"; readonly client: string; readonly ms: number }
  /** Tries a session of another user. */
  | { readonly order: "steal"; readonly client: string }
  /** Somebody new comes over this client's way, and vanishes without a word: at the first loss, or after so many ms. */
  | { readonly order: "guest"; readonly client: string; readonly ms: number }
  | { readonly order: "leave"; readonly client: string }
  /** Reads nothing from its socket for a while. */
  | { readonly order: "deaf"; readonly client: string; readonly ms: number }
  | { readonly order: "burst"; readonly client: string; readonly count: number; readonly length: number }
  /** No more publishes but one; the network works again. */
  | { readonly order: "settle" }
  /** Notes how things are, writes everything down and ends. */
  | { readonly order: "end" };

/** How one client is. */
export interface Status {
  readonly client: string;
  readonly room: string;
  readonly open: boolean;
  readonly position: number;
  readonly pending: number;
  /** When its newest token runs out, in ms since the epoch. */
  readonly endsAt: number;
  /** `id data` of each. */
  readonly members: readonly string[];
  /** How many members there are, where the room tells only that. */
  readonly count?: number | undefined;
  readonly said: number;
  readonly heard: number;
}

/** To the main process. */
export type Report =
  | { readonly report: "ready" }
  | { readonly report: "status"; readonly clients: readonly Status[] }
  | { readonly report: "ended" };

/** What every client can be told to do; most do only some of it. */
export interface ChaosClient {
  readonly plan: Plan;
  status(): Status;
  /** Publishes one thing. */
  say(length?: number): void;
  /** Comes back now if it waits. */
  wake(): void;
  /** Notes how it is. */
  end(): void;
}
