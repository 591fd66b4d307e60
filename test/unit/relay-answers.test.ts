/** Bounds between a room and its relays: an answer has an end, whatever members ask for, and a kick that was lost is found out. */
import { describe, expect, it } from "vitest";
import type { Down, Up } from "../../src/room/relaying.ts";
import { RelayHost } from "../../src/room/runtime/relay-host.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";
import { LargeRoom } from "../support/large-room.ts";

/** An RPC of the platform carries 32 MiB; a text that is not Latin-1 takes two bytes a unit. */
const HALF = 16_777_216;
const LONG = "x".repeat(200_000);

describe("an answer to a relay", () => {
  it("has an end, whatever its members call; publishes beside them are acked", async () => {
    const large = new LargeRoom({ methods: { long: () => LONG } });
    const relay = large.relay("eu/0");
    const seated = await relay.seat(...Array.from({ length: 100 }, (_, i) => `u${i}`));
    const calls = { type: "call", ref: 1, method: "long", data: null } as const;
    const said = seated.map(({ user, session }) => ({
      sender: { ...SENDER, user, session },
      frames: [calls, { ...calls, ref: 2 }, { type: "publish", ref: 1, data: user } as const],
    }));
    const { replies } = await relay.exchange({ said });
    const texts = replies.map((reply) => reply.texts);
    expect(JSON.stringify(replies).length).toBeLessThan(HALF / 4);
    expect(texts.every((each) => each.length === 3 && each[2]?.includes('"ack"'))).toBe(true);
    expect(texts[0]?.[0]).toContain(LONG);
    expect(texts.at(-1)?.[0]).toContain("rate_limited");
  });

  it("has an end, whatever a snapshot is; who has no place in it comes with the next", async () => {
    const { room } = new LargeRoom({ snapshot: () => LONG });
    const { relay, downs, join, place } = relayTo(room);
    const peers = Promise.all(Array.from({ length: 100 }, (_, i) => join(`u${i}`)));
    const all = await inNoTime(place, peers);
    expect(all.every((peer) => peer.of("snapshot").length === 1)).toBe(true);
    expect(relay.room.state.connections.size).toBe(100);
    for (const down of downs) expect(JSON.stringify(down).length).toBeLessThan(HALF / 4);
    expect(downs.length).toBeGreaterThan(5);
  });
});

it("promise 11: a kick that never reached a relay ends the connection there, however much else is told", async () => {
  const { room } = new LargeRoom();
  const { relay, join, place } = relayTo(room);
  const [ann] = [await inNoTime(place, join("ann")), await inNoTime(place, join("bob"))];
  const { interval } = relay.room.state.heartbeat ?? { interval: 0 };
  expect(interval).toBeGreaterThan(0);
  for (let i = 0; i < 20 && !ann.closedWith; i++) {
    // The relay has told all about its joins by now. It is told everything but this.
    if (i === 6) await inNoTime(room, room.host.command({ type: "kick", user: "ann" }));
    const { offset, epoch } = relay.room.state.fed;
    const items = JSON.stringify({ offset: offset + 1, by: null, at: place.now, data: i });
    await inNoTime(room, room.host.command({ type: "publish", data: i }));
    await inNoTime(place, relay.push({ ...TOLD, epoch, after: offset, upto: offset + 1, items }));
    for (const socket of place.sockets) socket.ping();
    place.now += interval / 2;
    room.now = place.now;
    await inNoTime(place, relay.room.alarm());
    await inNoTime(place, relay.room.submit({ type: "countDue" }));
  }
  expect(ann.closedWith?.reason).toBe("restarting");
});

const SENDER = {
  name: null,
  grants: ["publish", "call"],
  requestId: "r",
  connectedAt: 0,
  rejected: 0,
  traceparent: undefined,
  expires: Infinity,
} as const;
const TOLD = { version: 1, count: 2, signals: [], dismissals: [], next: [] } as const;

/** A real relay of a room. */
function relayTo(room: HostedRoom) {
  const place = new HostedRoom();
  const downs: Down[] = [];
  const relay = new RelayHost({
    platform: place.place,
    observer: {
      report: () => undefined,
      ended: () => undefined,
      sendReport: () => Promise.resolve(),
      span: (_name, _attributes, run) => run(),
    },
    ask: async (_home, up: Up) => {
      const down = await room.settled(room.host.exchange(structuredClone(up)));
      downs.push(down);
      return down;
    },
    relayAt: () => ({ push: () => Promise.reject(new Error("nobody is behind this one")) }),
  });
  place.host = relay.room;
  const via = {
    relay: { binding: "RELAY", name: "eu/0", region: "eu" },
    home: { binding: "ROOM", kind: "test", room: "one" },
    each: 1_000,
  };
  const join = async (user: string): Promise<Peer> => {
    const credentials = { user, grants: ["join"] as const, issued: 0, expires: Infinity };
    const about = { requestId: "r", receivedAt: place.now, credit: false };
    const opened = await relay.connect({ kind: "test", room: "one", credentials, ...about, via });
    if (!opened.ok || !("client" in opened)) throw new Error("not opened");
    // Sound: the place makes every client's end.
    return opened.client as unknown as Peer;
  };
  return { relay, downs, join, place };
}

/** Waits for something that takes a relay no time. */
async function inNoTime<T>(place: HostedRoom, work: Promise<T>): Promise<T> {
  const state = { isDone: false };
  const watched = work.finally(() => (state.isDone = true));
  for (let i = 0; !state.isDone && i < 10_000; i++) await place.pass(0);
  if (!state.isDone) throw new Error("the relay does not come to an end");
  return watched;
}
