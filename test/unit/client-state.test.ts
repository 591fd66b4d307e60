/** Every transition of the client's state machine, as a table: state, input, what follows. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { transition, type Action, type Input, type State } from "../../src/client/connection/state.ts";

const idle: State = { name: "idle" };
const setbacks = { failures: 2, cuts: 1, suspensions: 1 };
const connecting: State = { name: "connecting", ...setbacks };
const open: State = { name: "open", ...setbacks };
const reconnecting: State = { name: "reconnecting", ...setbacks, delay: 7, reason: "r" };
const suspended: State = { name: "suspended", suspensions: 1, delay: 7, reason: "r" };
const closed: State = { name: "closed", code: "closed", retryable: true, reason: "first" };
const states = { idle, connecting, open, reconnecting, suspended, closed };

const lost = (next: "stop" | "reconnect" | "later" | "renew", retryAfter?: number): Input => ({
  type: "lost",
  next,
  reason: "why",
  ...(retryAfter !== undefined && { retryAfter }),
});
const inputs = {
  connect: { type: "connect" },
  wake: { type: "wake" },
  online: { type: "online" },
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
const dialling = (failures: number, cuts: number, suspensions: number): State => ({
  name: "connecting",
  failures,
  cuts,
  suspensions,
});
/** With a random of 0.5 and two failures: half of 4 s. */
const retry = (delay: number): State => ({ name: "reconnecting", ...setbacks, failures: 3, delay, reason: "why" });
/** With a random of 0.5 and one cut: half of 2 s. What failed before does not count any more. */
const back: State = { name: "reconnecting", failures: 0, cuts: 2, suspensions: 0, delay: 1_000, reason: "why" };

type Follows = "nothing" | readonly [State, ...Action[]];
const nothing = "nothing";
const over: Follows = [{ name: "closed", code: "closed", retryable: true, reason: "asked" }, hangUp];
const ended: Follows = [{ name: "closed", code: "forbidden", retryable: false, reason: "why" }, hangUp];
const fresh: Follows = [dialling(0, 0, 0), dial];

const table: Record<keyof typeof states, Record<keyof typeof inputs, Follows>> = {
  idle: {
    connect: fresh,
    wake: nothing,
    online: nothing,
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
    online: [connecting, hangUp, dial],
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
    online: nothing,
    timer: nothing,
    welcome: nothing,
    stable: [{ name: "open", failures: 0, cuts: 0, suspensions: 0 }],
    "lost, stop": ended,
    "lost, reconnect": [back, hangUp, wait(1_000)],
    "lost, later": [retry(2_500), hangUp, wait(2_500)],
    "lost, renew": [retry(2_000), hangUp, wait(2_000)],
    close: over,
  },
  reconnecting: {
    connect: fresh,
    wake: [dialling(2, 1, 1), dial],
    online: [dialling(2, 1, 1), dial],
    timer: [dialling(2, 1, 1), dial],
    welcome: nothing,
    stable: nothing,
    "lost, stop": nothing,
    "lost, reconnect": nothing,
    "lost, later": nothing,
    "lost, renew": nothing,
    close: over,
  },
  suspended: {
    connect: fresh,
    wake: [dialling(0, 0, 1), dial],
    online: [dialling(0, 0, 1), dial],
    timer: [dialling(0, 0, 1), dial],
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
    online: nothing,
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
    // The same object: listeners of the state are not called.
    expect(step.state).toBe(from);
    expect(step.actions).toEqual([]);
  } else expect([step.state, ...step.actions]).toEqual(follows);
});

it("a token that expires on a good connection is replaced at once, the next one only later", () => {
  const good: State = { name: "open", failures: 0, cuts: 0, suspensions: 0 };
  const first = transition(good, lost("renew"), () => 0.5);
  expect([first.state, ...first.actions]).toEqual([dialling(1, 0, 0), hangUp, dial]);
  const second = transition(first.state, lost("renew"), () => 0.5);
  expect(second.actions).toEqual([hangUp, wait(1_000)]);
});

it("after five failed tries comes a suspension, twice as long each time", () => {
  let state: State = dialling(0, 0, 0);
  const seen: string[] = [];
  for (let i = 0; i < 40; i++) {
    const { state: next } = transition(state, lost("later"), () => 1);
    if (next.name === "reconnecting" || next.name === "suspended") seen.push(`${next.name} ${next.delay}`);
    ({ state } = transition(next, { type: "timer" }, () => 1));
  }
  const tries = [1_000, 2_000, 4_000, 8_000, 16_000].map((ms) => `reconnecting ${ms}`);
  const all = [60_000, 120_000, 240_000, 480_000, 600_000, 600_000].flatMap((ms) => [...tries, `suspended ${ms}`]);
  expect(seen).toEqual([...all, ...tries].slice(0, 40));
});

it("T8: a line that is cut soon after each open comes back within 5 s, however often, and is never suspended", () => {
  let state: State = dialling(0, 0, 0);
  const delays: number[] = [];
  for (let i = 0; i < 100; i++) {
    ({ state } = transition(state, { type: "welcome" }, () => 1));
    ({ state } = transition(state, lost("reconnect"), () => 1));
    delays.push("delay" in state && state.name === "reconnecting" ? state.delay : NaN);
    ({ state } = transition(state, { type: "timer" }, () => 1));
  }
  expect(delays).toEqual([1_000, 2_000, 4_000, ...Array<number>(97).fill(5_000)]);
});

it("T8: tries that fail between two cuts are counted apart from them, and a cut ends their count", () => {
  let state: State = dialling(0, 0, 0);
  const seen: unknown[] = [];
  const play = (...happened: Input[]) => {
    for (const input of happened) ({ state } = transition(state, input, () => 1));
    seen.push("failures" in state ? [state.failures, state.cuts] : state.name);
  };
  play({ type: "welcome" }, lost("reconnect"));
  play({ type: "timer" }, lost("later"));
  play({ type: "timer" }, lost("later"));
  play({ type: "timer" }, { type: "welcome" }, lost("reconnect"));
  play({ type: "timer" }, { type: "welcome" }, { type: "stable" });
  expect(seen).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
    [0, 2],
    [0, 0],
  ]);
});

it("a room that says that it is in trouble after each welcome is left alone for longer each time", () => {
  let state: State = dialling(0, 0, 0);
  const seen: unknown[] = [];
  for (let i = 0; i < 6; i++) {
    ({ state } = transition(state, { type: "welcome" }, () => 1));
    ({ state } = transition(state, lost("later"), () => 1));
    seen.push("delay" in state && state.delay);
    ({ state } = transition(state, { type: "timer" }, () => 1));
  }
  expect(seen).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 60_000]);
});

it("a suspension is no shorter than the server asked, with jitter on top", () => {
  const failed: State = { name: "connecting", failures: 5, cuts: 0, suspensions: 0 };
  const delays = [0, 0.5, 1].map((random) => {
    const { state } = transition(failed, lost("later", 300_000), () => random);
    return state.name === "suspended" && state.delay;
  });
  expect(delays).toEqual([300_000, 315_000, 330_000]);
});

it("a transition draws at most one random number", () => {
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

it("docs/reference/client.md lists every state with its fields", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/reference/client.md"), "utf8");
  const [, section = ""] = text.split("\n## States\n");
  const documented = [...section.matchAll(/^\| `(\w+)` +\| (.*?) +\|/gm)].map(([, name = "", fields = ""]) => [
    name,
    [...fields.matchAll(/`(\w+)`/g)].map(([, field = ""]) => field),
  ]);
  const real = Object.values(states).map(({ name, ...fields }) => [name, Object.keys(fields)]);
  expect(documented).toEqual(real);
});
