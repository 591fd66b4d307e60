/**
 * The state machine of a connection: state and input in, next state and actions out. Decides when to reconnect, when to
 * pause and when to stop. Pure: knows no socket, timer or source of randomness.
 */
import type { NextStep } from "../../protocol/codes.ts";
import { backoff, suspension, TRIES } from "./backoff.ts";

/** What the client is doing. */
export type State =
  /** Never connected. */
  | { readonly name: "idle" }
  /** Getting a token, opening a socket, waiting for the welcome. */
  | { readonly name: "connecting"; readonly failures: number; readonly suspensions: number }
  /** In the room. */
  | { readonly name: "open"; readonly failures: number; readonly suspensions: number }
  /** Tries again in `delay` ms. */
  | {
      readonly name: "reconnecting";
      readonly failures: number;
      readonly suspensions: number;
      readonly delay: number;
      readonly reason: string;
    }
  /** Failed too often: tries again in `delay` ms, or when the page or the program says that it may work now. */
  | { readonly name: "suspended"; readonly suspensions: number; readonly delay: number; readonly reason: string }
  /** Over. Only `connect()` begins again. */
  | { readonly name: "closed"; readonly reason: string };

/** What can happen. */
export type Input =
  | { readonly type: "connect" }
  /** The network is back or the page is visible: it may work now. */
  | { readonly type: "wake" }
  | { readonly type: "timer" }
  | { readonly type: "welcome" }
  /** The connection has been open for long enough to trust it again. */
  | { readonly type: "stable" }
  | { readonly type: "lost"; readonly next: NextStep; readonly reason: string; readonly retryAfter?: number }
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

/** One step. Calls `random` (0 to 1) at most once. Returns the same state object when nothing changes. */
export function transition(state: State, input: Input, random: () => number): Step {
  switch (input.type) {
    case "connect":
      if (state.name === "connecting" || state.name === "open") return stay(state);
      return dial(0, 0);
    case "wake":
    case "timer":
      if (state.name === "reconnecting") return dial(state.failures, state.suspensions);
      return state.name === "suspended" ? dial(0, state.suspensions) : stay(state);
    case "welcome":
      if (state.name !== "connecting") return stay(state);
      return stay({ ...state, name: "open" });
    case "stable":
      return state.name === "open" ? stay({ ...state, failures: 0, suspensions: 0 }) : stay(state);
    case "lost":
      if (state.name !== "connecting" && state.name !== "open") return stay(state);
      return lose(state, input, random);
    case "close":
      // The first reason stays.
      if (state.name === "closed") return stay(state);
      return { state: { name: "closed", reason: input.reason }, actions: [{ type: "hangUp" }] };
  }
}

function lose(
  { failures, suspensions }: { readonly failures: number; readonly suspensions: number },
  { next, reason, retryAfter = 0 }: Extract<Input, { type: "lost" }>,
  random: () => number,
): Step {
  const hangUp: Action = { type: "hangUp" };
  if (next === "stop") return { state: { name: "closed", reason }, actions: [hangUp] };
  // A new token is worth one try at once. A token that expires again is a failure like any other.
  if (next === "renew" && failures === 0) return dial(1, suspensions, hangUp);
  const chance = random();
  if (failures >= TRIES) {
    // The jitter comes on top of what the server asked for, as in any other wait.
    const delay = Math.max(backoff(failures, chance, retryAfter), suspension(suspensions, chance));
    return {
      state: { name: "suspended", suspensions: suspensions + 1, delay, reason },
      actions: [hangUp, { type: "wait", delay }],
    };
  }
  const delay = backoff(failures, chance, retryAfter);
  return {
    state: { name: "reconnecting", failures: failures + 1, suspensions, delay, reason },
    actions: [hangUp, { type: "wait", delay }],
  };
}

function dial(failures: number, suspensions: number, ...first: Action[]): Step {
  return { state: { name: "connecting", failures, suspensions }, actions: [...first, { type: "dial" }] };
}

function stay(state: State): Step {
  return { state, actions: [] };
}
