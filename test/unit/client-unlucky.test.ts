/** A client under everything that a program and a network may do to it, by seed: each promise settles once, nothing is left. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { RoomClient, RoomError } from "../../src/client/client.ts";
import type { ClientFrame } from "../../src/protocol/frames.ts";
import { dialled, publication, snapshot } from "../support/dialled.ts";
import type { Line } from "../support/line.ts";
import { randomFrom } from "../support/random.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const STEPS = 400;
const EVENTS = [
  "publication",
  "reset",
  "resumed",
  "members",
  "state",
  "error",
  "goaway",
  "latency",
  "lost",
  "restored",
] as const;

/** What became of what a program asked for. */
class Ledger {
  open = 0;
  readonly ends = new Map<string, number>();
  /** The data of acknowledged publishes, in the order of their offsets. */
  readonly acked: (readonly [offset: number, nth: number])[] = [];
  #nth = 0;

  publish(client: RoomClient, random: () => number): void {
    const nth = ++this.#nth;
    const abort = new AbortController();
    if (random() < 0.1) setTimeout(() => abort.abort(), random() * 3_000);
    const patience = random() < 0.1 ? { timeout: random() * 3_000 } : {};
    this.#track(
      client.publish(nth, { ...patience, signal: abort.signal }).then(({ offset }) => this.acked.push([offset, nth])),
    );
  }

  call(client: RoomClient): void {
    this.#track(client.call("method", 1));
  }

  #track(promise: Promise<unknown>): void {
    this.open++;
    const end = (how: string) => {
      this.open--;
      this.ends.set(how, (this.ends.get(how) ?? 0) + 1);
    };
    promise.then(
      () => end("done"),
      ({ code }: RoomError) => end(code),
    );
  }
}

/** A room that keeps its sessions, refuses at random, loses lines at random, and keeps the order that `after` asks for. */
class Room {
  head = 0;
  /** Publications in order. */
  readonly log: unknown[] = [];
  session = 1;
  #taken = new Map<number, number>();
  #highest = 0;
  #held = 0;
  /** Publishes that came under a ref that could take effect no more. */
  stale = 0;
  readonly #random: () => number;
  readonly #knowsAfter: boolean;

  constructor(random: () => number, knowsAfter: boolean) {
    this.#random = random;
    this.#knowsAfter = knowsAfter;
  }

  welcome(line: Line): void {
    if (line.readyState !== 0) return;
    const asked = line.url.searchParams;
    const isKnown = asked.get("session") === `s${this.session}` && this.#random() < 0.9;
    if (!isKnown) {
      this.session++;
      this.#taken = new Map();
      this.#highest = this.#held = 0;
    }
    const about = { session: `s${this.session}`, ref: this.#highest, offset: this.head };
    const from = Number(asked.get("offset"));
    if (!isKnown || asked.get("offset") === null) {
      line.welcome({ ...about, resumed: false }, { ...snapshot, offset: this.head });
      return;
    }
    const acks = [...this.#taken].filter(([, offset]) => offset > from);
    line.welcome(
      { ...about, resumed: true },
      ...acks.map(([ref, offset]) => ({ type: "ack", ref, offset, at: 0 })),
      this.#pub(from + 1),
    );
  }

  /** Answers what it reads; the answers of a line that is cut are lost. */
  read(line: Line): void {
    for (const frame of line.sent.splice(0).flatMap(read)) {
      if (line.readyState !== 1) return;
      const answers = this.#answer(frame);
      // It may break before the answer has arrived.
      if (this.#random() < 0.02) line.cut();
      else if (answers.length > 0) line.hears(...answers);
    }
  }

  #answer(frame: ClientFrame | "ping"): object[] {
    if (frame === "ping") return [];
    const isRefused = this.#random() < 0.15;
    const error = { code: "rate_limited", message: "", retryable: true, retryAfter: 20 };
    if (frame.type === "call") return [{ type: "reply", ref: frame.ref, ...(isRefused ? { error } : { data: 1 }) }];
    if (frame.type === "presence") return isRefused ? [{ type: "error", frame: "presence", ...error }] : [];
    if (frame.type !== "publish") return [];
    const { ref, after = 0, data } = frame;
    const known = this.#taken.get(ref);
    if (known !== undefined) return [{ type: "ack", ref, offset: known, at: 0 }];
    if (ref <= this.#highest) {
      this.stale++;
      return [{ type: "error", ref, code: "stale_ref", message: "", retryable: true }];
    }
    // None is taken that follows one that was refused for now.
    const isHeld = this.#knowsAfter && this.#held > 0 && ref !== this.#held && after >= this.#held;
    if (isRefused || isHeld) {
      this.#held = Math.min(this.#held || ref, ref);
      return [{ type: "error", ref, ...error }];
    }
    this.#held = 0;
    this.#highest = ref;
    this.log.push(data);
    this.#taken.set(ref, ++this.head);
    return [{ type: "ack", ref, offset: this.head, at: 0 }, this.#pub(this.head)];
  }

  #pub(from: number): object {
    const items = this.log.slice(from - 1).map((data, i) => publication(from + i, data as number));
    return { type: "pub", from, upto: this.head, items };
  }
}

function read(text: string): (ClientFrame | "ping")[] {
  return text === "ping" ? [text] : [JSON.parse(text) as ClientFrame | ClientFrame[]].flat();
}

/** Plays a seed to its end. */
async function play(seed: number, knowsAfter: boolean): Promise<Room> {
  const random = randomFrom(seed);
  const room = new Room(random, knowsAfter);
  const ledger = new Ledger();
  const { client, line, all } = dialled({ random, lostAfter: 500 });
  let isEnded = false;
  const act = () => {
    const dice = random();
    if (isEnded || dice < 0.3) return;
    if (dice < 0.6) ledger.publish(client, random);
    else if (dice < 0.7) ledger.call(client);
    else if (dice < 0.8) client.setPresence({ n: random() });
    else if (dice < 0.9) client.signal(1);
    else if (dice < 0.93) void client.check();
    else if (dice < 0.95) client.close();
    else if (dice < 0.96) client.leave();
    else client.connect();
  };
  for (const event of EVENTS) client.on(event, () => random() < 0.2 && act());
  for (let step = 0; step < STEPS; step++) {
    act();
    await vi.advanceTimersByTimeAsync(random() < 0.02 ? 40_000 : random() * 200);
    const dice = random();
    if (client.state.name === "closed" && dice < 0.5) client.connect();
    if (all.length === 0) continue;
    const now = line();
    if (now.readyState === 0 && dice < 0.5) room.welcome(now);
    else if (dice < 0.6) room.read(now);
    else if (dice < 0.65) now.cut();
    else if (dice < 0.66) now.hears({ type: "bye", code: 1012, reason: "restarting" });
    else now.pongs();
  }
  isEnded = true;
  client.close();
  await vi.advanceTimersByTimeAsync(5_000);
  expect([ledger.open, client.pending, client.state.name, vi.getTimerCount()]).toEqual([0, 0, "closed", 0]);
  expect(new Set(room.log).size, "each once").toBe(room.log.length);
  for (const [offset, nth] of ledger.acked) expect(room.log[offset - 1]).toBe(nth);
  expect(ledger.ends.get("done") ?? 0).toBeGreaterThan(0);
  expect(room.stale).toBe(0);
  return room;
}

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);

it.each(SEEDS)("C1: C8: seed %i: whatever listeners and lines do, in order", async (seed) => {
  const { log } = await play(seed, true);
  expect(log).toEqual([...(log as number[])].toSorted((a, b) => a - b));
});

it.each(SEEDS)("C1: seed %i: a room that does not know `after` loses none", async (seed) => {
  await play(seed, false);
});
