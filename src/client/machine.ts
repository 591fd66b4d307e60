/**
 * The connection's one state machine: what is, what happened, what follows. Pure; sockets, timers and randomness are
 * outside. Reconnecting, giving up for a while, giving up for good: all of it is decided here.
 */
import type { NextStep } from "../protocol/codes.ts";
import { backoff, quietPeriod, TRIES } from "./backoff.ts";

/** What the client is doing. */
export type State =
  /** Nothing yet. */
  | { readonly name: "idle" }
  /** Fetching a token, opening a socket, waiting for the welcome. */
  | { readonly name: "connecting"; readonly failures: number; readonly quiets: number }
  /** In the room. */
  | { readonly name: "open"; readonly failures: number; readonly quiets: number }
  /** Trying again in `delay` ms. */
  | {
      readonly name: "waiting";
      readonly failures: number;
      readonly quiets: number;
      readonly delay: number;
      readonly reason: string;
    }
  /** Failed too often: trying again in `delay` ms, or when something says that it may work now. */
  | { readonly name: "quiet"; readonly quiets: number; readonly delay: number; readonly reason: string }
  /** Over. Only `connect()` begins again. */
  | { readonly name: "closed"; readonly reason: string };

/** What can happen. */
export type Input =
  | { readonly type: "connect" }
  /** `online`, a visible tab: it may work now. */
  | { readonly type: "wake" }
  | { readonly type: "timer" }
  | { readonly type: "welcome" }
  /** The connection was long enough in the room to trust it again. */
  | { readonly type: "stable" }
  | { readonly type: "lost"; readonly next: NextStep; readonly reason: string; readonly retryAfter?: number }
  | { readonly type: "close"; readonly reason: string };

/** What is to be done. */
export type Action =
  /** Open a socket; `renew`: with a new token. */
  | { readonly type: "dial"; readonly renew: boolean }
  | { readonly type: "hangUp" }
  /** Let `timer` happen after `delay` ms; replaces an earlier one. */
  | { readonly type: "wait"; readonly delay: number }
  | { readonly type: "stopWaiting" };

export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}

/** One step. `random` is from 0 to 1, and asked for once at most. */
export function transition(state: State, input: Input, random: () => number): Step {
  switch (input.type) {
    case "connect":
      if (state.name === "connecting" || state.name === "open") return stay(state);
      return dial(0, 0, false);
    case "wake":
      if (state.name === "waiting") return dial(state.failures, state.quiets, false);
      return state.name === "quiet" ? dial(0, state.quiets, false) : stay(state);
    case "timer":
      if (state.name === "waiting") return dial(state.failures, state.quiets, false);
      return state.name === "quiet" ? dial(0, state.quiets, false) : stay(state);
    case "welcome":
      if (state.name !== "connecting") return stay(state);
      return { state: { ...state, name: "open" }, actions: [] };
    case "stable":
      return state.name === "open" ? stay({ ...state, failures: 0, quiets: 0 }) : stay(state);
    case "lost":
      if (state.name !== "connecting" && state.name !== "open") return stay(state);
      return lose(state, input, random);
    case "close":
      return {
        state: { name: "closed", reason: input.reason },
        actions: [{ type: "stopWaiting" }, { type: "hangUp" }],
      };
  }
}

function lose(
  { failures, quiets }: { readonly failures: number; readonly quiets: number },
  { next, reason, retryAfter = 0 }: Extract<Input, { type: "lost" }>,
  random: () => number,
): Step {
  const hangUp: Action = { type: "hangUp" };
  if (next === "stop") return { state: { name: "closed", reason }, actions: [hangUp] };
  // A new token is worth one try at once; a token that expires again is a failure like any other.
  if (next === "renew" && failures === 0) return dial(1, quiets, true, hangUp);
  if (failures >= TRIES) {
    const delay = Math.max(retryAfter, quietPeriod(quiets, random()));
    return {
      state: { name: "quiet", quiets: quiets + 1, delay, reason },
      actions: [hangUp, { type: "wait", delay }],
    };
  }
  const delay = backoff(failures, random(), retryAfter);
  return {
    state: { name: "waiting", failures: failures + 1, quiets, delay, reason },
    actions: [hangUp, { type: "wait", delay }],
  };
}

function dial(failures: number, quiets: number, renew: boolean, ...first: Action[]): Step {
  return {
    state: { name: "connecting", failures, quiets },
    actions: [...first, { type: "stopWaiting" }, { type: "dial", renew }],
  };
}

function stay(state: State): Step {
  return { state, actions: [] };
}
