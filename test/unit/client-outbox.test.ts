/** The outbox: order, bounds, refs, and that every publish is settled once. */
import { describe, expect, it } from "vitest";
import { RoomError } from "../../src/client/error.ts";
import { Outbox } from "../../src/client/session/outbox.ts";
import type { ClientFrame } from "../../src/protocol/frames.ts";
import { randomFrom } from "../support/random.ts";

const LIMIT = 2_048;
const random = randomFrom(5);
const ack = (offset: number) => ({ ref: 0, offset, at: 0 });
const refused = (code: "rate_limited" | "rejected" | "stale_ref") => new RoomError(code, "no", code === "rate_limited");

/** Takes all that may be sent now, or so many. */
function taken(outbox: Outbox, inFlight = 256, count = Infinity): string[] {
  const texts: string[] = [];
  for (let text; texts.length < count && (text = outbox.take({ inFlight, bytes: LIMIT }));) texts.push(text);
  return texts;
}

function frames(outbox: Outbox, inFlight = 256, count = Infinity): [ref: number, data: unknown][] {
  return taken(outbox, inFlight, count)
    .map((text) => JSON.parse(text) as ClientFrame & { type: "publish" })
    .map(({ ref, data }) => [ref, data]);
}

/** Publishes, and notes how each publish ends. */
function add(outbox: Outbox, log: string[], ...datas: (string | number)[]): void {
  for (const data of datas) {
    outbox.add(data).then(
      ({ offset }) => log.push(`${data} at ${offset}`),
      (error: RoomError) => log.push(`${data} ${error.code}`),
    );
  }
}

const settle = () => new Promise((resolve) => setTimeout(resolve));

describe("order", () => {
  it("the outbox sends in the order of publishing, under refs from 1", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    add(outbox, [], "a", "b", "c");
    expect(frames(outbox)).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
    expect(frames(outbox)).toEqual([]);
  });

  it("after a loss, what was in flight goes again first, with the same refs", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    add(outbox, [], "a", "b", "c");
    frames(outbox, 2);
    add(outbox, [], "d");
    outbox.requeue();
    outbox.requeue();
    expect(frames(outbox)).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
      [4, "d"],
    ]);
  });

  it("C1: a publish that follows one without an answer names it", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    add(outbox, [], "a", "b", "c");
    const afters = () => taken(outbox).map((text) => (JSON.parse(text) as { after?: number }).after);
    expect(afters()).toEqual([undefined, 1, 2]);
    for (const ref of [1, 2, 3]) outbox.ack(ref, { ref: 0, offset: ref, at: 0 });
    add(outbox, [], "d");
    expect(afters()).toEqual([undefined]);
  });

  it("C1: refused publishes wait for those that followed, and go again in order under their refs", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    add(outbox, [], "a", "b", "c", "d", "e");
    frames(outbox, 4);
    outbox.refuse(2, refused("rate_limited"));
    expect(frames(outbox)).toEqual([]);
    outbox.refuse(3, refused("rate_limited"));
    add(outbox, [], "f");
    outbox.refuse(4, refused("rate_limited"));
    expect(frames(outbox)).toEqual([
      [2, "b"],
      [3, "c"],
      [4, "d"],
      [5, "e"],
      [6, "f"],
    ]);
  });

  it("C1: a refused publish keeps its place when the connection is lost", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    add(outbox, [], "a", "b", "c");
    frames(outbox);
    outbox.refuse(1, refused("rate_limited"));
    outbox.requeue();
    expect(frames(outbox)).toEqual([
      [1, "a"],
      [2, "b"],
      [3, "c"],
    ]);
  });

  it("C1: a room that took what followed a refused publish loses none: it goes again under a new ref", async () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b", "c", "d");
    outbox.advance(0);
    const [a = 0, b = 0, c = 0] = frames(outbox, 3).map(([ref]) => ref);
    outbox.refuse(a, refused("rate_limited"));
    outbox.ack(b, ack(1));
    outbox.refuse(c, refused("rate_limited"));
    const again = frames(outbox);
    expect(again.map(([, data]) => data)).toEqual(["a", "c", "d"]);
    const refs = again.map(([ref]) => ref);
    expect(refs).toEqual(refs.toSorted((x, y) => x - y));
    expect(Math.min(...refs)).toBeGreaterThan(b);
    again.forEach(([ref], i) => outbox.ack(ref, ack(2 + i)));
    await settle();
    expect(log).toEqual(["b at 1", "a at 2", "c at 3", "d at 4"]);
  });

  it("C1: what may have taken effect is repeated before one that needs a new ref, whose ref would end it", async () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b", "c");
    outbox.advance(0);
    const [a = 0, b = 0, c = 0] = frames(outbox).map(([ref]) => ref);
    outbox.refuse(a, refused("rate_limited"));
    // The room took `b`, and the line breaks before it has answered `c`.
    outbox.requeue();
    outbox.advance(b);
    expect(frames(outbox)).toEqual([
      [b, "b"],
      [c, "c"],
    ]);
    outbox.ack(b, ack(1));
    outbox.ack(c, ack(2));
    const [last = 0] = frames(outbox).map(([ref]) => ref);
    expect(last).toBeGreaterThan(c);
    outbox.ack(last, ack(3));
    await settle();
    expect(log).toEqual(["b at 1", "c at 2", "a at 3"]);
  });

  it("a refused publish has another ref where its own cannot take effect any more", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, () => 0);
    add(outbox, [], "a");
    outbox.advance(0);
    frames(outbox);
    outbox.refuse(1, refused("rate_limited"));
    outbox.requeue();
    outbox.advance(50);
    expect(frames(outbox)).toEqual([[51, "a"]]);
  });

  it("a refused publish goes on in a new session: it took no effect", async () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b");
    frames(outbox);
    outbox.refuse(1, refused("rate_limited"));
    outbox.begin();
    await settle();
    expect(log).toEqual(["b outcome_unknown"]);
    expect(frames(outbox)).toEqual([[1, "a"]]);
  });

  it("refs only go up, whatever is lost, refused or called in between", () => {
    const outbox = new Outbox({ count: 1_000, bytes: 100_000 }, random);
    let high = 0;
    const known = new Set<number>();
    for (let step = 0; step < 2_000; step++) {
      const dice = random();
      if (dice < 0.4) add(outbox, [], step);
      else if (dice < 0.5) outbox.requeue();
      else if (dice < 0.6) known.add(outbox.ref());
      else if (dice < 0.7 && high > 0) outbox.refuse(high, refused("rate_limited"));
      else if (dice < 0.8 && high > 0) outbox.ack(high, ack(step));
      else {
        const refs = frames(outbox, 20, 5).map(([ref]) => ref);
        expect(refs.toSorted((a, b) => a - b)).toEqual(refs);
        for (const ref of refs) {
          // Either a repeat, or above everything before.
          if (!known.has(ref)) expect(ref).toBeGreaterThan(Math.max(0, ...known));
          known.add(ref);
          high = ref;
        }
      }
    }
    expect(known.size).toBeGreaterThan(300);
  });
});

describe("bounds", () => {
  it("the outbox takes publishes up to its count, and more once some are settled", async () => {
    const outbox = new Outbox({ count: 2, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b", "c");
    frames(outbox);
    outbox.ack(1, ack(7));
    add(outbox, log, "d", "e");
    await settle();
    expect(log.toSorted()).toEqual(["a at 7", "c outbox_full", "e outbox_full"]);
    expect(outbox.size).toBe(2);
  });

  it("the outbox counts bytes of UTF-8, and frees them however a publish ends", async () => {
    const outbox = new Outbox({ count: 100, bytes: 80 }, random);
    const ends: ((ref: number) => void)[] = [
      (ref) => outbox.ack(ref, ack(1)),
      (ref) => outbox.refuse(ref, refused("rejected")),
      (ref) => outbox.refuse(ref, refused("stale_ref")),
      () => outbox.begin(),
      () => outbox.close("over"),
    ];
    for (const end of ends) {
      const log: string[] = [];
      // 25 + 2 + 40 bytes: one fits, two do not.
      add(outbox, log, "é".repeat(20), "é".repeat(20));
      end(frames(outbox)[0]?.[0] ?? 0);
      await settle();
      expect(log).toHaveLength(2);
      expect(log.filter((line) => line.endsWith("outbox_full"))).toHaveLength(1);
      expect(outbox.size).toBe(0);
    }
  });

  it("a publish that would not fit into an empty outbox is refused for good", async () => {
    const outbox = new Outbox({ count: 10, bytes: 20 }, random);
    await expect(outbox.add("x".repeat(30))).rejects.toMatchObject({ code: "outbox_full", retryable: false });
  });

  it("the outbox keeps to its limit in flight and sends no more at a time than asked", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    add(outbox, [], 1, 2, 3, 4, 5, 6);
    expect(frames(outbox, 4, 3)).toHaveLength(3);
    expect(frames(outbox, 4, 3)).toHaveLength(1);
    expect(frames(outbox, 4, 3)).toHaveLength(0);
    outbox.ack(1, ack(1));
    expect(frames(outbox, 4, 3)).toHaveLength(1);
  });

  it("a publish that is too large or too deep is rejected unsent; one just small enough is sent", async () => {
    const outbox = new Outbox({ count: 10, bytes: 100_000 }, random);
    const log: string[] = [];
    const nested = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels)) as never;
    void outbox.add(nested(30));
    const [large, deep] = [outbox.add("é".repeat(LIMIT / 2)), outbox.add(nested(31))];
    expect(frames(outbox)).toHaveLength(1);
    await expect(large).rejects.toMatchObject({ code: "too_large", retryable: false });
    await expect(deep).rejects.toMatchObject({ code: "bad_data", retryable: false });
    add(outbox, log, '[[["\\'.repeat(100), "x".repeat(LIMIT - 100));
    expect(frames(outbox)).toHaveLength(2);
    await settle();
    expect(log).toEqual([]);
  });
});

describe("settling", () => {
  it("each publish settles once, by the first answer, also while it is requeued", async () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b", "c");
    frames(outbox);
    outbox.ack(1, ack(1));
    outbox.ack(1, ack(9));
    outbox.requeue();
    outbox.ack(2, ack(2));
    outbox.refuse(2, refused("rejected"));
    outbox.refuse(3, refused("rejected"));
    outbox.ack(3, ack(3));
    outbox.ack(99, ack(99));
    outbox.close("over");
    await settle();
    expect(log).toEqual(["a at 1", "b at 2", "c rejected"]);
    expect(frames(outbox)).toEqual([]);
  });

  it("a new session sends what was never sent, and the outcome of the rest is unknown", async () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b", "c");
    frames(outbox, 2);
    outbox.begin();
    outbox.advance(0);
    await settle();
    expect(log).toEqual(["a outcome_unknown", "b outcome_unknown"]);
    expect(frames(outbox)).toEqual([[1, "c"]]);
  });

  it("refs continue above the client's own while the room has seen no others", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    outbox.begin();
    outbox.advance(0);
    add(outbox, [], "a", "b");
    expect(frames(outbox)).toEqual([
      [1, "a"],
      [2, "b"],
    ]);
    outbox.advance(1);
    add(outbox, [], "c");
    expect(frames(outbox)).toEqual([[3, "c"]]);
  });

  it.each([
    ["a session from the store", 0],
    ["a session from the store, used before", 41],
  ])("refs continue far above those the room has seen, in %s", (_, known) => {
    const first = Array.from({ length: 20 }, () => {
      const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
      outbox.advance(known);
      add(outbox, [], "a");
      return Number(frames(outbox)[0]?.[0]);
    });
    expect(Math.min(...first)).toBeGreaterThan(known);
    expect(Math.max(...first)).toBeGreaterThan(1_000_000);
    expect(new Set(first).size).toBe(20);
  });

  it("refs continue far above those that another client used in the session", () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    outbox.begin();
    outbox.advance(0);
    add(outbox, [], "a");
    expect(frames(outbox)).toEqual([[1, "a"]]);
    outbox.advance(2);
    add(outbox, [], "b");
    // By a fixed seed.
    expect(Number(frames(outbox)[0]?.[0])).toBeGreaterThan(1_000);
  });

  it("a closed outbox tells publishes that may have taken effect from those that cannot", async () => {
    const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
    const log: string[] = [];
    add(outbox, log, "a", "b");
    frames(outbox, 1);
    outbox.close("over");
    outbox.close("over again");
    await settle();
    expect(log).toEqual(["a outcome_unknown", "b closed"]);
  });
});

it("data changed after publishing is not published, and data that JSON cannot carry is refused", async () => {
  const outbox = new Outbox({ count: 10, bytes: 1_000 }, random);
  const data = { text: "before" };
  const to = ["bob"];
  const traceparent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
  void outbox.add(data, { to, traceparent });
  data.text = "after";
  to.push("eve");
  expect(taken(outbox)).toEqual([
    `{"type":"publish","to":["bob"],"traceparent":"${traceparent}","data":{"text":"before"},"ref":1}`,
  ]);
  await expect(outbox.add(undefined as never)).rejects.toMatchObject({ code: "bad_data" });
  await expect(outbox.add(1n as never)).rejects.toMatchObject({ code: "bad_data" });
  expect([frames(outbox), outbox.size]).toEqual([[], 1]);
});
