/** What a client sends keeps to the room's rate, whatever the line does: in virtual time, against the room's own bucket. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Pace } from "../../src/client/session/pace.ts";
import { fullBucket, take } from "../../src/room/rules/rate.ts";
import { dialled, joined, snapshot } from "../support/dialled.ts";
import { LIMITS } from "../support/line.ts";
import { PacedRoom, type PacedRoomOptions } from "../support/paced-room.ts";
import { randomFrom } from "../support/random.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** A client in a room that keeps to its rate. */
async function paced(options: PacedRoomOptions = {}) {
  const made = await joined();
  return { ...made, room: new PacedRoom(made.line(), options) };
}

/** Frames that the room answers at once. */
function arrive(pace: Pace, cost: number): void {
  pace.spend(cost, true);
  pace.answered();
}

/** Calls something so often a second. */
async function every(hertz: number, seconds: number, run: (n: number) => void): Promise<void> {
  for (let n = 0; n < hertz * seconds; n++) {
    run(n);
    await pass(1_000 / hertz);
  }
}

describe("the pace", () => {
  it("the pace allows nine tenths of the burst, then nine tenths of the rate", () => {
    const pace = new Pace({ ...LIMITS, burst: 100, rate: 50 }, 0);
    expect(pace.allowance(0)).toBe(90);
    for (let i = 0; i < 90; i++) arrive(pace, 1);
    expect([pace.allowance(0), pace.wait]).toEqual([0, 23]);
    expect([pace.allowance(22), pace.allowance(23), pace.allowance(1_010)]).toEqual([0, 1, 45]);
    expect(pace.allowance(1_000_000)).toBe(90);
  });

  it("the pace allows one frame at a time where the room takes no more", () => {
    const pace = new Pace({ ...LIMITS, burst: 1, rate: 100 }, 0);
    expect(pace.allowance(0)).toBe(1);
    arrive(pace, 1);
    expect([pace.allowance(11), pace.allowance(12), pace.allowance(99)]).toEqual([0, 1, 1]);
  });

  it("the pace counts what a frame costs, and waits as long as the room says", () => {
    const pace = new Pace({ ...LIMITS, burst: 10, rate: 100 }, 0);
    arrive(pace, 10);
    pace.refused(1_000);
    expect([pace.allowance(900), pace.allowance(1_000), pace.allowance(1_012)]).toEqual([0, 0, 1]);
  });

  it("a clock that goes backwards earns no frames, and the pace goes on from there", () => {
    const pace = new Pace({ ...LIMITS, burst: 1, rate: 100 }, 10_000);
    arrive(pace, 1);
    expect([pace.allowance(5_000), pace.allowance(5_012)]).toEqual([0, 1]);
  });

  it("C3: by seed, the room refuses nothing, however what is on its way bunches up", () => {
    const rate = { perSecond: LIMITS.rate, burst: LIMITS.burst };
    let most = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const random = randomFrom(seed);
      const pace = new Pace(LIMITS, 0);
      const bucket = fullBucket(rate, 0);
      const line: { isAnswered: boolean; pong?: () => void }[] = [];
      const answers: (() => void)[] = [];
      for (let now = 0, sent = 0; sent < 400; now += random() * 60) {
        for (let n = random() < 0.7 ? pace.allowance(now) : 0; n > 0; n--, sent++) {
          const isAnswered = random() < 0.5;
          pace.spend(1, isAnswered);
          line.push({ isAnswered });
        }
        const pong = pace.ask(now);
        if (pong) line.push({ isAnswered: false, pong });
        most = Math.max(most, line.length);
        // Stalled most of the time; then all that is on its way arrives together.
        if (random() < 0.9) continue;
        for (const { isAnswered, pong: answered } of line.splice(0)) {
          if (answered) answers.push(answered);
          else expect(take(bucket, rate, now, 1).ok, `seed ${seed}`).toBe(true);
          if (isAnswered) answers.push(() => pace.answered());
        }
        for (const answer of answers.splice(0, Math.ceil(random() * answers.length))) answer();
      }
    }
    expect(most).toBeGreaterThan(85);
  });

  it("C3: a pong says that frames have arrived, not that the room has handled those behind an open answer", () => {
    const pace = new Pace(LIMITS, 0);
    pace.spend(1, true);
    pace.spend(80, false);
    const pong = pace.ask(0);
    pong?.();
    // Two seconds later the room may still have all of them before it.
    expect(pace.allowance(2_000)).toBe(9);
    pace.answered();
    expect(pace.allowance(2_000)).toBe(9);
    expect(pace.allowance(3_000)).toBe(54);
  });

  it("a ping goes when frames without an answer have been sent, and one at a time", () => {
    const pace = new Pace(LIMITS, 0);
    expect(pace.ask(0)).toBeUndefined();
    pace.spend(1, false);
    const pong = pace.ask(0);
    expect(pong).toBeDefined();
    pace.spend(30, false);
    expect([pace.ask(0), pace.isAsking]).toEqual([undefined, true]);
    pong?.();
    expect(pace.isAsking).toBe(false);
    const next = pace.ask(0);
    expect(next).toBeDefined();
    next?.();
    // Few, and just asked.
    pace.spend(5, false);
    expect(pace.ask(900)).toBeUndefined();
    // The answer to a publish will say as much.
    pace.spend(1, true);
    expect(pace.ask(2_000)).toBeUndefined();
  });
});

describe("presence", () => {
  it("C3, T1: presence at 60 Hz for 30 s is never refused, and the last value arrives", async () => {
    const { client, room, log } = await paced();
    await every(60, 30, (n) => client.setPresence({ x: n }));
    await pass(1_000);
    expect([room.refused, room.isEnded, log]).toEqual([[], false, []]);
    expect(room.of("presence").at(-1)).toEqual({ x: 1_799 });
    // As many as the room takes, and not all.
    expect(room.of("presence").length).toBeGreaterThan(30 * 40);
    expect(room.of("presence").length).toBeLessThan(1_500);
  });

  it("C3: of many values in one turn only the last is sent", async () => {
    const { client, room } = await paced();
    for (const n of upTo(150)) client.setPresence(n);
    await pass(1_000);
    expect([room.of("presence"), room.refused]).toEqual([[149], []]);
  });

  it("C3: a value that was refused arrives all the same, and the program need not know of it", async () => {
    const { client, room, log } = await paced({ used: 150 });
    client.setPresence("here");
    await pass(5_000);
    expect(room.refused).toEqual([{ type: "presence", data: "here" }]);
    expect([room.of("presence"), room.isEnded, log]).toEqual([["here"], false, []]);
  });

  it("C3: presence waits while the line stalls, and the newest value goes when it moves", async () => {
    const { client, room } = await paced();
    room.stall();
    await every(40, 6, (n) => client.setPresence(n));
    room.resume();
    await pass(1_000);
    expect([room.of("presence").at(-1), room.refused, room.isEnded]).toEqual([239, [], false]);
    expect(room.of("presence").length).toBeLessThan(50);
  });

  it("an equal value is not sent again, unless the room shows another", async () => {
    const { client, room, line } = await paced();
    const set = async (data: string) => {
      client.setPresence(data);
      await pass(50);
    };
    for (const data of ["here", "here", "away", "away"]) await set(data);
    expect(room.of("presence")).toEqual(["here", "away"]);
    // Another tab of this user.
    line().hears({ type: "presence", update: [{ id: "ann", data: "busy" }] });
    await set("away");
    expect(room.of("presence")).toEqual(["here", "away", "away"]);
  });
});

describe("signals", () => {
  it("T2: of a burst the last arrives, and the sender knows how many were dropped", async () => {
    const { client, room } = await paced();
    const fates = upTo(400).map((n) => client.signal(n));
    await pass(1_000);
    const taken = room.of("signal");
    expect([taken.at(-1), room.refused]).toEqual([399, []]);
    expect(taken).toEqual([...upTo(45), ...upTo(8).map((n) => 392 + n)]);
    expect(fates).toEqual(upTo(400).map((n) => (n < 45 ? "sent" : "queued")));
    expect(client.droppedSignals).toBe(400 - taken.length);
  });

  it("C3: signals at 40 Hz through a stall of 6 s neither end the connection nor arrive late in heaps", async () => {
    const { client, room, log } = await paced();
    const sentAt: number[] = [];
    const signal = (n: number) => {
      sentAt.push(performance.now());
      client.signal(sentAt.length - 1);
      return n;
    };
    await every(40, 2, signal);
    expect(room.of("signal")).toHaveLength(80);
    room.stall();
    await every(40, 6, signal);
    const before = room.of("signal").length;
    room.resume();
    const late = room.of("signal").length - before;
    // What was under way when the line stalled; the rest was never sent.
    expect(late).toBeLessThanOrEqual(45);
    const resumedAt = performance.now();
    await every(40, 2, signal);
    await pass(100);
    const fresh = room.of("signal").slice(before + late) as number[];
    for (const n of fresh) expect(sentAt[n]).toBeGreaterThan(resumedAt - 1_000);
    expect([fresh.at(-1), room.refused, room.isEnded, log]).toEqual([sentAt.length - 1, [], false, []]);
    expect(client.droppedSignals + room.of("signal").length).toBe(sentAt.length);
  });

  it("C3: a signal that has waited for more than a second is dropped", async () => {
    const { client, room } = await paced();
    room.stall();
    for (const n of upTo(50)) client.signal(n);
    await pass(1_100);
    room.resume();
    await pass(1_000);
    expect([room.of("signal"), client.droppedSignals]).toEqual([upTo(45), 5]);
    expect(client.signal("fresh")).toBe("sent");
  });

  it("T2: a signal without a connection is dropped, and one that waits does not outlive its connection", async () => {
    const { client, line } = dialled();
    expect([client.signal("early"), client.droppedSignals]).toEqual(["dropped", 1]);
    await pass(0);
    line().welcome({}, snapshot);
    const fates = upTo(50).map((n) => client.signal(n));
    expect(fates.filter((fate) => fate === "queued")).toHaveLength(5);
    line().cut();
    await pass(10);
    line().welcome({ resumed: true });
    await pass(500);
    expect([line().of("signal"), client.droppedSignals]).toEqual([[], 6]);
  });

  it("C3: signals and presence wait behind what a slow line has not taken", async () => {
    const { client, line, room } = await paced();
    Object.assign(line(), { bufferedAmount: 20_000 });
    expect(client.signal(1)).toBe("queued");
    client.setPresence("here");
    void client.publish("there");
    await pass(500);
    expect(room.taken).toMatchObject([{ type: "publish" }]);
    Object.assign(line(), { bufferedAmount: 0 });
    await pass(500);
    expect(room.taken).toMatchObject([{ type: "publish" }, { type: "presence" }, { type: "signal" }]);
  });

  it("signals to some keep whom they are for", async () => {
    const { client, room } = await paced();
    client.signal("psst", { to: ["bob"] });
    await pass(50);
    expect(room.taken).toEqual([{ type: "signal", to: ["bob"], data: "psst" }]);
  });
});

describe("calls", () => {
  it("C3: of 250 calls at once none is refused, and they keep their order", async () => {
    const { client, room } = await paced();
    const replies = Promise.all(upTo(250).map((n) => client.call("echo", n)));
    await pass(10_000);
    expect(await replies).toEqual(upTo(250));
    expect([room.of("call"), room.refused, room.isEnded]).toEqual([upTo(250), [], false]);
  });

  it("calls are bounded, and those that wait when the connection is lost were not sent", async () => {
    const { client, line } = await joined();
    const ends = upTo(1_001).map((n) => client.call("echo", n).catch((error: { code: string }) => error.code));
    await pass(0);
    line().cut();
    const codes = await Promise.all(ends);
    expect(codes.filter((code) => code === "outcome_unknown")).toHaveLength(90);
    expect(codes.filter((code) => code === "not_connected")).toHaveLength(910);
    expect(codes.at(-1)).toBe("outbox_full");
  });
});

describe("everything together", () => {
  it("C1: publishes keep their order through a stall with signals, calls and presence beside", async () => {
    const { client, room, items } = await paced();
    const acks: Promise<unknown>[] = [];
    const say = (n: number) => {
      if (n === 50) room.stall();
      if (n === 250) room.resume();
      acks.push(client.publish(n));
      client.signal(n);
      client.setPresence(n);
      if (n % 5 === 0) acks.push(client.call("echo", n));
    };
    await every(40, 10, say);
    await pass(30_000);
    await Promise.all(acks);
    expect([items, room.refused, room.isEnded]).toEqual([upTo(400), [], false]);
    expect(room.of("presence").at(-1)).toBe(399);
  });

  it("C3: no kind starves another where all are above the rate", async () => {
    const { client, room } = await paced();
    const say = (n: number) => {
      client.signal(n);
      client.setPresence(n);
      client.publish(n).catch(() => undefined);
      client.call("echo", n).catch(() => undefined);
    };
    await every(100, 9, say);
    const counts = (["signal", "presence", "publish", "call"] as const).map((type) => room.of(type).length);
    expect(Math.min(...counts)).toBeGreaterThan(0.6 * Math.max(...counts));
    expect([room.refused, room.isEnded]).toEqual([[], false]);
    client.close();
  });

  it("T15: a picture of 3 MB in pieces is taken at once and arrives in order", async () => {
    const { client, line } = dialled();
    await pass(0);
    line().welcome({ limits: { ...LIMITS, message: 65_536 } }, snapshot);
    await pass(0);
    const room = new PacedRoom(line());
    const pieces = upTo(64).map((n) => `${n} ${"x".repeat(60_000)}`);
    const acks = Promise.all(pieces.map((piece) => client.publish(piece)));
    await pass(10_000);
    expect((await acks).map(({ offset }) => offset)).toEqual(upTo(64).map((n) => n + 1));
    expect(room.of("publish")).toEqual(pieces);
  });
});
