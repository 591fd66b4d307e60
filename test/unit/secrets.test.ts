/** Secrets from the Secrets Store: read once a minute, in the background while one is known, and two at the same time. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { rotatingIn, secret, secretsIn } from "../../src/ops/secrets.ts";

const waited: Promise<unknown>[] = [];
vi.mock("cloudflare:workers", () => ({ waitUntil: (work: Promise<unknown>) => void waited.push(work) }));

/** A store whose secret can change, fail or hang. */
class Store {
  asked = 0;
  answer: () => Promise<unknown>;

  constructor(value: unknown) {
    this.answer = async () => Promise.resolve(value);
  }

  async get(): Promise<string> {
    this.asked++;
    return this.answer() as Promise<string>;
  }
}

const hangs = async () => new Promise<never>(() => undefined);
const fails = async () => Promise.reject(new Error("away"));
/** What a promise has come to after all that is due within so many ms. */
async function within(ms: number, work: Promise<unknown>): Promise<unknown> {
  let came: unknown = "it waits";
  void work.then(
    (value) => (came = value),
    (error: unknown) => (came = error),
  );
  await vi.advanceTimersByTimeAsync(ms);
  return came;
}

beforeEach(() => {
  vi.useFakeTimers();
  waited.length = 0;
});
afterEach(() => void vi.useRealTimers());

it("E4: while the store hangs or fails no request waits for a secret that is known", async () => {
  for (const away of [hangs, fails]) {
    const store = new Store("known");
    expect(await within(0, secret(store, "S"))).toBe("known");
    store.answer = away;
    await vi.advanceTimersByTimeAsync(61_000);
    for (let i = 0; i < 9; i++) expect(await within(0, secret(store, "S"))).toBe("known");
    expect(store.asked, "and it is asked again after 10 s at the soonest").toBe(2);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await within(0, secret(store, "S"))).toBe("known");
    expect(store.asked).toBe(3);
  }
});

it("E4: a secret that is known is renewed in the background, which outlives the request", async () => {
  const store = new Store("old");
  await within(0, secret(store, "S"));
  store.answer = async () => Promise.resolve("new");
  await vi.advanceTimersByTimeAsync(61_000);
  expect(await within(0, secret(store, "S"))).toBe("old");
  expect(waited).toHaveLength(1);
  expect(await within(0, secret(store, "S"))).toBe("new");
  expect(store.asked).toBe(2);
});

it("E4: an isolate that has slept through a rotation asks first, and waits a second for the answer", async () => {
  const store = new Store("old");
  await within(0, secret(store, "S"));
  store.answer = async () => Promise.resolve("new");
  await vi.advanceTimersByTimeAsync(301_000);
  expect(await within(0, secret(store, "S"))).toBe("new");
  store.answer = hangs;
  await vi.advanceTimersByTimeAsync(301_000);
  const first = secret(store, "S");
  expect(await within(0, secret(store, "S")), "others do not wait with it").toBe("new");
  expect(await within(1_001, first)).toBe("new");
  expect(store.asked).toBe(3);
});

it("E4: both secrets of a rotation are asked for at the same time", async () => {
  const env = { S: new Store("a"), S_PREVIOUS: new Store("b") };
  env.S.answer = env.S_PREVIOUS.answer = hangs;
  const reading = secretsIn(env, "S");
  expect(await within(0, reading)).toBe("it waits");
  expect([env.S.asked, env.S_PREVIOUS.asked]).toEqual([1, 1]);
  expect(await within(5_001, reading)).toMatchObject({ code: "upstream_failed" });
});

it("E2: a previous secret that hangs or is none keeps nobody from the current one, but is not signed without", async () => {
  const hanging = new Store("");
  hanging.answer = hangs;
  for (const previous of ["", {}, hanging, new Store(5)]) {
    const env = { S: "current", S_PREVIOUS: previous };
    expect(await within(0, rotatingIn(env, "S"))).toMatchObject({ current: "current", others: [expect.any(Promise)] });
    expect(await within(5_001, secretsIn(env, "S"))).toBeInstanceOf(Error);
  }
  expect(await within(0, rotatingIn({}, "S"))).toBeUndefined();
  expect(await within(0, rotatingIn({ S_PREVIOUS: "b" }, "S"))).toMatchObject({ name: "Misconfigured" });
});
