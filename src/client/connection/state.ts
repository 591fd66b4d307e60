/**
 * The state machine of a connection: state and input in, next state and actions out. Decides when to reconnect, when to
 * pause and when to stop. Pure: knows no socket, timer or source of randomness.
 */
import type { NextStep } from "../../protocol/codes.ts";
import type { RoomErrorCode } from "../error.ts";
import { backoff, LONGEST_AFTER_CUT_MS, suspension, TRIES } from "./backoff.ts";

/** What has gone wrong so far, in a row. */
interface Setbacks {
  /** Tries that did not get into the room. */
  readonly failures: number;
  /** Lines that were cut soon after they had opened. */
  readonly cuts: number;
  readonly suspensions: number;
}

/** What the client is doing. */
export type State =
  /** Never connected. */
  | { readonly name: "idle" }
  /** Getting a token, opening a socket, waiting for the welcome. */
  | ({ readonly name: "connecting" } & Setbacks)
  /** In the room. */
  | ({ readonly name: "open" } & Setbacks)
  /** Tries again in `delay` ms. */
  | ({ readonly name: "reconnecting"; readonly delay: number; readonly reason: string } & Setbacks)
  /** Failed too often: tries again in `delay` ms, or when the page or the program says that it may work now. */
  | { readonly name: "suspended"; readonly suspensions: number; readonly delay: number; readonly reason: string }
  /** Over. Only `connect()` begins again. */
  | {
      readonly name: "closed";
      /** The room's code or that of the token function; `closed` when the program has closed it. */
      readonly code: RoomErrorCode;
      /** Whether `connect()` may succeed although nothing else has changed. */
      readonly retryable: boolean;
      /** For people and logs. */
      readonly reason: string;
    };

/** How a connection ended, or why there is none. */
export interface Loss {
  readonly next: NextStep;
  /** The room's word for it, if it ended the connection. */
  readonly code?: RoomErrorCode | undefined;
  /** For people and logs. */
  readonly reason: string;
  /** In ms. */
  readonly retryAfter?: number | undefined;
}

/** What can happen. */
export type Input =
  | { readonly type: "connect" }
  /** The network is back or the page is visible: it may work now. */
  | { readonly type: "wake" }
  /** The network is back: what was begun without it is in vain. */
  | { readonly type: "online" }
  | { readonly type: "timer" }
  | { readonly type: "welcome" }
  /** The connection has been open for long enough to trust it again. */
  | { readonly type: "stable" }
  | ({ readonly type: "lost" } & Loss)
  | { readonly type: "close"; readonly reason: string };

/** What the owner of the connection must do. */
export type Action =
  /** Get a token and open a socket. */
  | { readonly type: "dial" }
  | { readonly type: "hangUp" }
  /** Input `timer` after `delay` ms, unless a dial or a hang-up comes first. */
  | { readonly type: "wait"; readonly delay: number };

/** What follows from an input. */
export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}

const NONE: Setbacks = { failures: 0, cuts: 0, suspensions: 0 };
const hangUp: Action = { type: "hangUp" };

/** One step. Calls `random` (0 to 1) at most once. Returns the same state object when nothing changes. */
export function transition(state: State, input: Input, random: () => number): Step {
  switch (input.type) {
    case "connect":
      if (state.name === "connecting" || state.name === "open") return stay(state);
      return dial(NONE);
    case "online":
    case "wake":
    case "timer":
      if (input.type === "online" && state.name === "connecting") return dial(state, hangUp);
      if (state.name === "reconnecting") return dial(state);
      return state.name === "suspended" ? dial({ ...NONE, suspensions: state.suspensions }) : stay(state);
    case "welcome":
      if (state.name !== "connecting") return stay(state);
      return stay({ ...state, name: "open" });
    case "stable":
      return state.name === "open" ? stay({ name: "open", ...NONE }) : stay(state);
    case "lost":
      if (state.name !== "connecting" && state.name !== "open") return stay(state);
      return lose(state, input, random);
    case "close":
      // The first reason stays.
      return state.name === "closed" ? stay(state) : end("closed", true, input.reason);
  }
}

function lose(
  { name, ...setbacks }: Extract<State, { name: "connecting" | "open" }>,
  { next, code = "forbidden", reason, retryAfter = 0 }: Loss,
  random: () => number,
): Step {
  if (next === "stop") return end(code, false, reason);
  // A new token is worth one try at once. A token that expires again is a failure like any other.
  if (next === "renew" && setbacks.failures === 0) return dial({ ...setbacks, failures: 1 }, hangUp);
  const { failures, cuts, suspensions } = setbacks;
  const chance = random();
  if (name === "open" && next === "reconnect") {
    // Connecting works: what failed before does not count any more.
    const delay = backoff(cuts, chance, retryAfter, LONGEST_AFTER_CUT_MS);
    return wait({ name: "reconnecting", ...NONE, cuts: cuts + 1, delay, reason });
  }
  const delay = backoff(failures, chance, retryAfter);
  if (failures < TRIES) return wait({ name: "reconnecting", ...setbacks, failures: failures + 1, delay, reason });
  // The jitter comes on top of what the server asked for, as in any other wait.
  const longer = Math.max(delay, suspension(suspensions, chance));
  return wait({ name: "suspended", suspensions: suspensions + 1, delay: longer, reason });
}

function end(code: RoomErrorCode, retryable: boolean, reason: string): Step {
  return { state: { name: "closed", code, retryable, reason }, actions: [hangUp] };
}

function wait(state: Extract<State, { name: "reconnecting" | "suspended" }>): Step {
  return { state, actions: [hangUp, { type: "wait", delay: state.delay }] };
}

function dial({ failures, cuts, suspensions }: Setbacks, ...first: Action[]): Step {
  return { state: { name: "connecting", failures, cuts, suspensions }, actions: [...first, { type: "dial" }] };
}

function stay(state: State): Step {
  return { state, actions: [] };
}
