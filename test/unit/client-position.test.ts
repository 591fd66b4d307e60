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
  const read = (
    options: { isGap?: boolean; heartbeat?: number; isAsked?: boolean; bytes?: number; isOpen?: boolean } = {},
  ) => {
    const { isGap = false, heartbeat = 0, isAsked = false, bytes = 1, isOpen = true } = options;
    position.read({ isGap, heartbeat, isAsked, bytes }, (frame, cost) => (sent.push([frame, cost]), isOpen));
    return sent.splice(0);
  };
  return { position, read };
}

const ack = (offset: number, cost: number) => [`{"type":"ack","offset":${offset}}`, cost];
const sync = (offset: number) => [`{"type":"sync","offset":${offset}}`, 10];

describe("acks", () => {
  it("the client acknowledges every 640 offsets, which costs nothing", () => {
    const { position, read } = begun();
    const acked: number[] = [];
    for (let offset = 1; offset <= 2_000; offset++) {
      position.moveTo(offset);
      for (const sent of read()) {
        expect(sent).toEqual(ack(offset, 0));
        acked.push(offset);
      }
    }
    expect(acked).toEqual([640, 1_280, 1_920]);
  });

  it("the client acknowledges every 256 KiB, which costs nothing either", () => {
    const { position, read } = begun();
    position.moveTo(1);
    expect(read({ bytes: 262_143 })).toEqual([]);
    position.moveTo(2);
    expect(read({ bytes: 1 })).toEqual([ack(2, 0)]);
    position.moveTo(3);
    expect(read({ bytes: 1 })).toEqual([]);
  });

  it("bytes without publications need no ack", () => {
    const { position, read } = begun();
    expect(read({ bytes: 10_000_000 })).toEqual([]);
    position.moveTo(1);
    expect(read({ bytes: 1 })).toEqual([]);
  });

  it("offsets that a snapshot replaced need no ack", () => {
    const { position, read } = begun();
    position.moveTo(100);
    position.moveTo(5_000, true);
    expect(read()).toEqual([]);
    position.moveTo(5_640);
    expect(read()).toEqual([ack(5_640, 0)]);
  });

  it("a room that asks gets an ack of what there is to acknowledge, and nothing where that is on its way", () => {
    const { position, read } = begun();
    position.moveTo(70);
    expect(read({ heartbeat: 70, isAsked: true })).toEqual([ack(70, 0)]);
    expect(read({ heartbeat: 70, isAsked: true })).toEqual([]);
  });

  it("offsets from before a resume need no ack", () => {
    const { position, read } = begun();
    position.moveTo(100);
    read();
    position.begin("s", "e", true);
    position.moveTo(739);
    expect(read()).toEqual([]);
    position.moveTo(740);
    expect(read()).toEqual([ack(740, 0)]);
  });
});

describe("syncs", () => {
  it("the client sends one sync for a gap, and another for the next gap", () => {
    const { position, read } = begun();
    expect(read({ isGap: true })).toEqual([sync(0)]);
    expect(read({ isGap: true })).toEqual([]);
    position.moveTo(5);
    expect(read()).toEqual([]);
    expect(read({ isGap: true })).toEqual([sync(5)]);
  });

  it("a heartbeat that is ahead brings a sync, and the next one brings another", () => {
    const { position, read } = begun();
    expect(read({ heartbeat: 3 })).toEqual([sync(0)]);
    expect(read({ isGap: true })).toEqual([]);
    expect(read({ heartbeat: 3 })).toEqual([sync(0)]);
    position.moveTo(3);
    expect(read({ heartbeat: 3 })).toEqual([]);
  });

  it("a heartbeat that is ahead brings an ack first if one is due, then a sync", () => {
    const { position, read } = begun();
    position.moveTo(70);
    expect(read({ heartbeat: 90 })).toEqual([ack(70, 0)]);
    expect(read({ heartbeat: 90 })).toEqual([sync(70)]);
  });

  it("a sync that the room refused is sent for the next gap message", () => {
    const { position, read } = begun();
    expect(read({ isGap: true })).toEqual([sync(0)]);
    position.syncRefused();
    expect(read({ isGap: true })).toEqual([sync(0)]);
  });

  it("a sync that could not be sent is sent for the next gap message", () => {
    const { read } = begun();
    expect(read({ isGap: true, isOpen: false })).toEqual([sync(0)]);
    expect(read({ isGap: true })).toEqual([sync(0)]);
  });

  it("offsets that a sync has named need no ack", () => {
    const { position, read } = begun();
    position.moveTo(639);
    expect(read({ isGap: true })).toEqual([sync(639)]);
    position.moveTo(640);
    expect(read()).toEqual([]);
  });
});

describe("storage", () => {
  it("a stored position is found again, per address", () => {
    const store = memoryStore();
    const { position, read } = begun(store);
    position.moveTo(9);
    read();
    expect(new Position(store, KEY).resume).toEqual({ session: "s", epoch: "e", offset: 9 });
    expect(new Position(store, "ws://edge.test/rooms/relay/two").resume).toEqual({});
  });

  it("C12: a message that moves nothing writes nothing, and one that moves the position writes it once", () => {
    const kept = memoryStore();
    const written: string[] = [];
    const { position, read } = begun({
      ...kept,
      get: () => undefined,
      set: (_, value) => written.push(value),
      delete() {},
    });
    for (let i = 0; i < 1_000; i++) read();
    expect(written).toEqual(['{"session":"s","epoch":"e","offset":0}']);
    for (let offset = 1; offset <= 50; offset++) position.moveTo(offset);
    position.moveTo(50);
    for (let i = 0; i < 1_000; i++) read();
    expect(written.slice(1)).toEqual(['{"session":"s","epoch":"e","offset":50}']);
  });

  it("C12: a position that was forgotten is written again when the next session has one", () => {
    const store = memoryStore();
    const { position, read } = begun(store);
    read();
    position.forget();
    position.begin("s2", "e", false);
    position.moveTo(0, true);
    read();
    expect(store.get(KEY)).toContain('"s2"');
  });

  it("a session whose snapshot never came is resumed without a position", () => {
    const position = new Position(memoryStore(), KEY);
    expect(position.begin("s", "e", false)).toBe(true);
    expect(position.resume).toEqual({ session: "s" });
    expect(position.begin("s", "e", false)).toBe(false);
    position.moveTo(4, true);
    expect(position.resume).toEqual({ session: "s", epoch: "e", offset: 4 });
  });

  it("a forgotten position sends nothing and stores nothing", () => {
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
  ])("a stored position that is not valid is ignored: %s", (garbage) => {
    const store = memoryStore();
    store.set(KEY, garbage);
    expect(new Position(store, KEY).resume).toEqual({});
  });

  it("a store that always throws keeps nothing and disturbs nothing", () => {
    const fail = () => {
      throw new Error("forbidden");
    };
    const { position, read } = begun({ get: fail, set: fail, delete: fail });
    position.moveTo(640);
    expect(read()).toEqual([ack(640, 0)]);
    position.forget();
    expect(position.saved).toBeUndefined();
  });
});
