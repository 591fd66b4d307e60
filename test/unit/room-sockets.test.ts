/** What rides with sockets and what stays in storage: one carrier of the counters, and no trace of a refused user. */
import { describe, expect, it } from "vitest";
import { isCredentials, openUpgrade, sealUpgrade } from "../../src/room/admission.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";

/** Sockets whose attachment carries what is the whole room's. */
function carriers(peers: Iterable<Peer>): Peer[] {
  return [...peers].filter((peer) => (peer.deserializeAttachment() as { carried?: unknown } | null)?.carried);
}

/** A room in which each of its members has said something in a tick of its own. */
async function busy(size: number) {
  const room = new HostedRoom();
  const peers: Peer[] = [];
  for (let i = 0; i < size; i++) peers.push(await room.join({ user: `u${i}` }));
  await speak(room, peers);
  return { room, peers };
}

async function speak(room: HostedRoom, peers: readonly Peer[]): Promise<void> {
  for (const peer of peers) {
    await room.pass(100);
    await room.settled(peer.say({ type: "signal", data: 1 }));
  }
}

/** Signals that the room has counted, as its reports say once nobody is there. */
const signals = (room: HostedRoom) => room.reports.reduce((sum, { counts }) => sum + (counts["signals"] ?? 0), 0);

describe("of many sockets", () => {
  it("R15: one socket carries the counters, also when others speak", async () => {
    const { room } = await busy(20);
    expect(carriers(room.sockets)).toHaveLength(1);
  });

  it("R15: one carries the counters after evictions too", async () => {
    const { room, peers } = await busy(10);
    for (let i = 0; i < 5; i++) {
      await room.evict();
      await speak(room, peers.slice(-1 - i, -i || undefined));
      expect(carriers(room.sockets)).toHaveLength(1);
    }
  });

  it("R15: another one carries them when the carrier ends, and nothing counts twice or is lost", async () => {
    const { room, peers } = await busy(6);
    const [first] = carriers(room.sockets);
    // The room wakes for the very end of the socket that carries.
    await room.evict();
    await first?.end();
    expect(carriers(room.sockets)).toHaveLength(1);
    const left = peers.filter((peer) => peer !== first);
    await speak(room, left);
    await room.evict();
    for (const peer of left) await peer.end();
    expect(signals(room)).toBe(6 + 5);
  });

  it("R15: another one carries them when the carrier is told good-bye", async () => {
    const { room, peers } = await busy(6);
    const [first] = carriers(room.sockets);
    await room.settled(room.host.command({ type: "kick", user: `u${peers.indexOf(first as Peer)}` }));
    const after = carriers(room.sockets);
    expect(after).toHaveLength(1);
    expect(after[0]).not.toBe(first);
  });
});

describe("a room that nobody has entered", () => {
  const tables = (room: HostedRoom) => room.rows("SELECT name FROM sqlite_master WHERE name LIKE 'edgerooms%'");

  it("R16: has no table after a refused connect", async () => {
    const room = new HostedRoom({
      onJoin: () => {
        throw new Error("a bug");
      },
    });
    expect(await room.connect()).toMatchObject({ ok: false });
    expect(await room.connect({ credentials: { grants: [] } })).toMatchObject({ ok: false, code: "forbidden" });
    expect(tables(room)).toEqual([]);
    expect(await room.storage.getAlarm()).toBeNull();
  });

  it("R16: has no table after looks", async () => {
    const room = new HostedRoom();
    await room.settled(room.host.command({ type: "members" }));
    await room.settled(room.host.command({ type: "kick", user: "nobody" }));
    await room.evict();
    expect(tables(room)).toEqual([]);
    expect(await room.storage.getAlarm()).toBeNull();
  });
});

describe("credentials without a moment at which they expire", () => {
  const usual = { user: "ann", grants: ["join"], issued: 0, expires: 1 } as const;

  it.each([Number.NaN, -1, Infinity, "1", null, undefined])("R16: are none: expires %s", (expires) => {
    expect(isCredentials({ ...usual, expires })).toBe(false);
    expect(isCredentials(usual)).toBe(true);
  });

  it("R16: open no connection", () => {
    const admission = { kind: "k", room: "r", requestId: "q", receivedAt: 0, credit: false };
    expect(openUpgrade(sealUpgrade({ ...admission, credentials: usual }))).toBeDefined();
    expect(openUpgrade(sealUpgrade({ ...admission, credentials: { ...usual, expires: Number.NaN } }))).toBeUndefined();
  });

  it("R16: refresh no session, and are no alert", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    const { session } = ann.welcome;
    const credentials = { ...usual, expires: Number.NaN };
    const result = await room.settled(room.host.command({ type: "refresh", session, credentials }));
    expect(result).toMatchObject({ ok: false, code: "bad_request" });
    expect(room.failures).toEqual([]);
  });
});
