/** Every transition of the client's state machine, as a table: what is, what happens, what follows. */
import { expect, it } from "vitest";
import { transition, type Action, type Input, type State } from "../../src/client/connection/state.ts";

const idle: State = { name: "idle" };
const connecting: State = { name: "connecting", failures: 2, quiets: 1 };
const open: State = { name: "open", failures: 2, quiets: 1 };
const waiting: State = { name: "waiting", failures: 2, quiets: 1, delay: 7, reason: "r" };
const quiet: State = { name: "quiet", quiets: 1, delay: 7, reason: "r" };
const closed: State = { name: "closed", reason: "first" };
const states = { idle, connecting, open, waiting, quiet, closed };

const lost = (next: "stop" | "reconnect" | "later" | "renew", retryAfter?: number): Input => ({
  type: "lost",
  next,
  reason: "why",
  ...(retryAfter !== undefined && { retryAfter }),
});
const inputs = {
  connect: { type: "connect" },
  wake: { type: "wake" },
  timer: { type: "timer" },
  welcome: { type: "welcome" },
  stable: { type: "stable" },
  "lost, stop": lost("stop"),
  "lost, reconnect": lost("reconnect"),
  "lost, later": lost("later", 500),
  "lost, renew": lost("renew"),
  close: { type: "close", reason: "asked" },
} satisfies Record<string, Input>;

const dial: Action = { type: "dial" };
const hangUp: Action = { type: "hangUp" };
const wait = (delay: number): Action => ({ type: "wait", delay });
const dialling = (failures: number, quiets: number): State => ({ name: "connecting", failures, quiets });
/** With a random of 0.5 and two failures: half of 4 s. */
const retry = (delay: number): State => ({ name: "waiting", failures: 3, quiets: 1, delay, reason: "why" });

type Follows = "nothing" | readonly [State, ...Action[]];
const nothing = "nothing";
const over: Follows = [{ name: "closed", reason: "asked" }, hangUp];
const ended: Follows = [{ name: "closed", reason: "why" }, hangUp];
const fresh: Follows = [dialling(0, 0), dial];

const table: Record<keyof typeof states, Record<keyof typeof inputs, Follows>> = {
  idle: {
    connect: fresh,
    wake: nothing,
    timer: nothing,
    welcome: nothing,
    stable: nothing,
    "lost, stop": nothing,
    "lost, reconnect": nothing,
    "lost, later": nothing,
    "lost, renew": nothing,
    close: over,
  },
  connecting: {
    connect: nothing,
    wake: nothing,
    timer: nothing,
    welcome: [open],
    stable: nothing,
    "lost, stop": ended,
    "lost, reconnect": [retry(2_000), hangUp, wait(2_000)],
    "lost, later": [retry(2_500), hangUp, wait(2_500)],
    "lost, renew": [retry(2_000), hangUp, wait(2_000)],
    close: over,
  },
  open: {
    connect: nothing,
    wake: nothing,
    timer: nothing,
    welcome: nothing,
    stable: [{ name: "open", failures: 0, quiets: 0 }],
    "lost, stop": ended,
    "lost, reconnect": [retry(2_000), hangUp, wait(2_000)],
    "lost, later": [retry(2_500), hangUp, wait(2_500)],
    "lost, renew": [retry(2_000), hangUp, wait(2_000)],
    close: over,
  },
  waiting: {
    connect: fresh,
    wake: [dialling(2, 1), dial],
    timer: [dialling(2, 1), dial],
    welcome: nothing,
    stable: nothing,
    "lost, stop": nothing,
    "lost, reconnect": nothing,
    "lost, later": nothing,
    "lost, renew": nothing,
    close: over,
  },
  quiet: {
    connect: fresh,
    wake: [dialling(0, 1), dial],
    timer: [dialling(0, 1), dial],
    welcome: nothing,
    stable: nothing,
    "lost, stop": nothing,
    "lost, reconnect": nothing,
    "lost, later": nothing,
    "lost, renew": nothing,
    close: over,
  },
  closed: {
    connect: fresh,
    wake: nothing,
    timer: nothing,
    welcome: nothing,
    stable: nothing,
    "lost, stop": nothing,
    "lost, reconnect": nothing,
    "lost, later": nothing,
    "lost, renew": nothing,
    close: nothing,
  },
};

const rows = (Object.keys(states) as (keyof typeof states)[]).flatMap((state) =>
  (Object.keys(inputs) as (keyof typeof inputs)[]).map((input) => ({ state, input, follows: table[state][input] })),
);

it.each(rows)("$state, $input", ({ state, input, follows }) => {
  const from = states[state];
  const step = transition(from, inputs[input], () => 0.5);
  if (follows === nothing) {
    // The very same object: whoever watches the state is not woken.
    expect(step.state).toBe(from);
    expect(step.actions).toEqual([]);
  } else expect([step.state, ...step.actions]).toEqual(follows);
});

it("a token that expires in a good connection is replaced at once, one that expires again waits", () => {
  const good: State = { name: "open", failures: 0, quiets: 0 };
  const first = transition(good, lost("renew"), () => 0.5);
  expect([first.state, ...first.actions]).toEqual([dialling(1, 0), hangUp, dial]);
  const second = transition(first.state, lost("renew"), () => 0.5);
  expect(second.actions).toEqual([hangUp, wait(1_000)]);
});

it("five failed tries, then a quiet period; the next five begin from the start; periods double", () => {
  let state: State = dialling(0, 0);
  const seen: string[] = [];
  for (let i = 0; i < 40; i++) {
    const { state: next } = transition(state, lost("later"), () => 1);
    if (next.name === "waiting" || next.name === "quiet") seen.push(`${next.name} ${next.delay}`);
    ({ state } = transition(next, { type: "timer" }, () => 1));
  }
  const tries = ["waiting 1000", "waiting 2000", "waiting 4000", "waiting 8000", "waiting 16000"];
  const quiets = [60_000, 120_000, 240_000, 480_000, 600_000, 600_000].flatMap((ms) => [...tries, `quiet ${ms}`]);
  expect(seen).toEqual([...quiets, ...tries].slice(0, 40));
});

it("a quiet period is no shorter than what the server asked for, and has its jitter on top", () => {
  const failed: State = { name: "connecting", failures: 5, quiets: 0 };
  const delays = [0, 0.5, 1].map((random) => {
    const { state } = transition(failed, lost("later", 300_000), () => random);
    return state.name === "quiet" && state.delay;
  });
  expect(delays).toEqual([300_000, 315_000, 330_000]);
});

it("randomness is asked for once at most", () => {
  for (const from of Object.values(states)) {
    for (const input of Object.values(inputs)) {
      let asked = 0;
      transition(from, input, () => {
        asked++;
        return 0;
      });
      expect(asked).toBeLessThanOrEqual(1);
    }
  }
});
