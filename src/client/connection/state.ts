/**
 * The connection's one state machine: what is, what happened, what follows. Pure; sockets, timers and randomness are
 * outside. Reconnecting, giving up for a while, giving up for good: all of it is decided here.
 */
import type { NextStep } from "../../protocol/codes.ts";
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
  /** Get a token and open a socket. */
  | { readonly type: "dial" }
  | { readonly type: "hangUp" }
  /** Let `timer` happen after `delay` ms, unless something is dialled or hung up before. */
  | { readonly type: "wait"; readonly delay: number };

export interface Step {
  readonly state: State;
  readonly actions: readonly Action[];
}

/** One step. `random` is from 0 to 1, and asked for once at most. */
export function transition(state: State, input: Input, random: () => number): Step {
  switch (input.type) {
    case "connect":
      if (state.name === "connecting" || state.name === "open") return stay(state);
      return dial(0, 0);
    case "wake":
    case "timer":
      if (state.name === "waiting") return dial(state.failures, state.quiets);
      return state.name === "quiet" ? dial(0, state.quiets) : stay(state);
    case "welcome":
      if (state.name !== "connecting") return stay(state);
      return stay({ ...state, name: "open" });
    case "stable":
      return state.name === "open" ? stay({ ...state, failures: 0, quiets: 0 }) : stay(state);
    case "lost":
      if (state.name !== "connecting" && state.name !== "open") return stay(state);
      return lose(state, input, random);
    case "close":
      // Why it was closed first stays true.
      if (state.name === "closed") return stay(state);
      return {
        state: { name: "closed", reason: input.reason },
        actions: [{ type: "hangUp" }],
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
  if (next === "renew" && failures === 0) return dial(1, quiets, hangUp);
  const chance = random();
  if (failures >= TRIES) {
    // What the server asked for gets its jitter here, too.
    const delay = Math.max(backoff(failures, chance, retryAfter), quietPeriod(quiets, chance));
    return {
      state: { name: "quiet", quiets: quiets + 1, delay, reason },
      actions: [hangUp, { type: "wait", delay }],
    };
  }
  const delay = backoff(failures, chance, retryAfter);
  return {
    state: { name: "waiting", failures: failures + 1, quiets, delay, reason },
    actions: [hangUp, { type: "wait", delay }],
  };
}

function dial(failures: number, quiets: number, ...first: Action[]): Step {
  return {
    state: { name: "connecting", failures, quiets },
    actions: [...first, { type: "dial" }],
  };
}

function stay(state: State): Step {
  return { state, actions: [] };
}
