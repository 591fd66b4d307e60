/** Where a client is in the log: what it acknowledges, when it asks again, and what it makes of its storage. */
import { describe, expect, it } from "vitest";
import { Position } from "../../src/client/session/position.ts";
import { memoryStore, type SessionStore } from "../../src/client/storage.ts";

const KEY = "ws://edge.test/rooms/relay/one";

/** A position in a connection that is at 0, and everything it sends. */
function begun(store: SessionStore = memoryStore()) {
  const position = new Position(store, KEY);
  position.begin("s", "e", false);
  position.moveTo(0, true);
  const sent: [string, number][] = [];
  const read = (options: { isGap?: boolean; heartbeat?: number; bytes?: number; isOpen?: boolean } = {}) => {
    const { isGap = false, heartbeat = 0, bytes = 1, isOpen = true } = options;
    position.read({ isGap, heartbeat, bytes }, (frame, cost) => (sent.push([frame, cost]), isOpen));
    return sent.splice(0);
  };
  return { position, read };
}

const ack = (offset: number, cost: number) => [`{"type":"ack","offset":${offset}}`, cost];
const sync = (offset: number) => [`{"type":"sync","offset":${offset}}`, 10];

describe("acks", () => {
  it("acknowledges every 128 offsets, which costs nothing", () => {
    const { position, read } = begun();
    const acked: number[] = [];
    for (let offset = 1; offset <= 400; offset++) {
      position.moveTo(offset);
      for (const sent of read()) {
        expect(sent).toEqual(ack(offset, 0));
        acked.push(offset);
      }
    }
    expect(acked).toEqual([128, 256, 384]);
  });

  it("acknowledges every 64 KiB, and counts the one frame that a small ack costs", () => {
    const { position, read } = begun();
    position.moveTo(1);
    expect(read({ bytes: 65_535 })).toEqual([]);
    position.moveTo(2);
    expect(read({ bytes: 1 })).toEqual([ack(2, 1)]);
    position.moveTo(3);
    expect(read({ bytes: 1 })).toEqual([]);
  });

  it("has nothing to acknowledge where nothing was published, however much is read", () => {
    const { position, read } = begun();
    expect(read({ bytes: 10_000_000 })).toEqual([]);
    position.moveTo(1);
    expect(read({ bytes: 1 })).toEqual([]);
  });

  it("owes nothing for what a snapshot replaced", () => {
    const { position, read } = begun();
    position.moveTo(100);
    position.moveTo(5_000, true);
    expect(read()).toEqual([]);
    position.moveTo(5_128);
    expect(read()).toEqual([ack(5_128, 0)]);
  });

  it("owes nothing for what it had before it came back", () => {
    const { position, read } = begun();
    position.moveTo(100);
    read();
    position.begin("s", "e", true);
    position.moveTo(227);
    expect(read()).toEqual([]);
    position.moveTo(228);
    expect(read()).toEqual([ack(228, 0)]);
  });
});

describe("syncs", () => {
  it("asks once for a gap, and again for the next", () => {
    const { position, read } = begun();
    expect(read({ isGap: true })).toEqual([sync(0)]);
    expect(read({ isGap: true })).toEqual([]);
    position.moveTo(5);
    expect(read()).toEqual([]);
    expect(read({ isGap: true })).toEqual([sync(5)]);
  });

  it("asks when a heartbeat is ahead, and again at the next one: a sync may have been refused", () => {
    const { position, read } = begun();
    expect(read({ heartbeat: 3 })).toEqual([sync(0)]);
    expect(read({ isGap: true })).toEqual([]);
    expect(read({ heartbeat: 3 })).toEqual([sync(0)]);
    position.moveTo(3);
    expect(read({ heartbeat: 3 })).toEqual([]);
  });

  it("acknowledges first when a heartbeat is ahead: the room may only be waiting for that", () => {
    const { position, read } = begun();
    position.moveTo(70);
    expect(read({ heartbeat: 90 })).toEqual([ack(70, 0)]);
    expect(read({ heartbeat: 90 })).toEqual([sync(70)]);
  });

  it("asks again when there was no connection to ask in", () => {
    const { read } = begun();
    expect(read({ isGap: true, isOpen: false })).toEqual([sync(0)]);
    expect(read({ isGap: true })).toEqual([sync(0)]);
  });

  it("needs no ack for what a sync told", () => {
    const { position, read } = begun();
    position.moveTo(127);
    expect(read({ isGap: true })).toEqual([sync(127)]);
    position.moveTo(128);
    expect(read()).toEqual([]);
  });
});

describe("storage", () => {
  it("is found again, per address", () => {
    const store = memoryStore();
    const { position, read } = begun(store);
    position.moveTo(9);
    read();
    expect(new Position(store, KEY).resume).toEqual({ session: "s", epoch: "e", offset: 9 });
    expect(new Position(store, "ws://edge.test/rooms/relay/two").resume).toEqual({});
  });

  it("a session whose snapshot never came is asked for without a position", () => {
    const position = new Position(memoryStore(), KEY);
    expect(position.begin("s", "e", false)).toBe(true);
    expect(position.resume).toEqual({ session: "s" });
    expect(position.begin("s", "e", false)).toBe(false);
    position.moveTo(4, true);
    expect(position.resume).toEqual({ session: "s", epoch: "e", offset: 4 });
  });

  it("forgets, and sends nothing any more", () => {
    const store = memoryStore();
    const { position, read } = begun(store);
    read();
    position.forget();
    position.moveTo(7);
    expect(read({ isGap: true, heartbeat: 99 })).toEqual([]);
    expect([position.saved, store.get(KEY)]).toEqual([undefined, undefined]);
  });

  const good = { session: "s", epoch: "e", offset: 1 };
  it.each([
    "",
    "nonsense",
    "null",
    "[]",
    '"text"',
    "{}",
    JSON.stringify({ ...good, session: "a b" }),
    JSON.stringify({ ...good, session: "x".repeat(65) }),
    JSON.stringify({ ...good, session: "" }),
    JSON.stringify({ ...good, epoch: undefined }),
    JSON.stringify({ ...good, epoch: "é" }),
    JSON.stringify({ ...good, offset: -1 }),
    JSON.stringify({ ...good, offset: 1.5 }),
    JSON.stringify({ ...good, offset: 2 ** 53 }),
    JSON.stringify({ ...good, offset: "1" }),
  ])("what a room would refuse is not asked for: %s", (garbage) => {
    const store = memoryStore();
    store.set(KEY, garbage);
    expect(new Position(store, KEY).resume).toEqual({});
  });

  it("that throws at everything forgets, and disturbs nothing", () => {
    const fail = () => {
      throw new Error("forbidden");
    };
    const { position, read } = begun({ get: fail, set: fail, delete: fail });
    position.moveTo(128);
    expect(read()).toEqual([ack(128, 0)]);
    position.forget();
    expect(position.saved).toBeUndefined();
  });
});
