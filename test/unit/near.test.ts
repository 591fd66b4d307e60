/** Signals for those who are near: connected to the same object, which is the room or one of its relays. */
import { describe, expect, it } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { reject } from "../../src/room/definition.ts";
import type { Up } from "../../src/room/relaying.ts";
import { RelayHost } from "../../src/room/runtime/relay-host.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";
import { LargeRoom } from "../support/large-room.ts";

const near = { type: "signal", data: "near", scope: "near" } as const;
const far = { type: "signal", data: "far" } as const;
const SAID = '{"type":"signal","by":"cleo","data":"near"}';

/** One member in the room, two at a relay. */
async function filled(definition?: ConstructorParameters<typeof LargeRoom>[0]) {
  const large = new LargeRoom(definition);
  const relay = large.relay("eu/0");
  const ann = await large.room.join({ user: "ann" });
  const [cleo] = await relay.seat("cleo", "dan");
  if (!cleo) throw new Error("cleo has no seat");
  return { room: large.room, relay, ann, cleo };
}

describe("a signal with a scope", () => {
  it("is near, or is no frame", () => {
    expect(decode(JSON.stringify(near), 1_000)).toEqual([near]);
    for (const scope of ["far", "", null, 1, true]) {
      expect(decode(JSON.stringify({ ...near, scope }), 1_000), String(scope)).toMatchObject([{ code: "bad_frame" }]);
    }
  });

  it("reaches everyone in a room without relays", async () => {
    const room = new HostedRoom();
    const [ann, bob] = [await room.join({ user: "ann" }), await room.join({ user: "bob" })];
    await room.settled(ann.say(near));
    expect([ann.of("signal"), bob.of("signal")]).toMatchObject([[], [{ by: "ann", data: "near" }]]);
  });

  it("from a member of the room itself goes to no relay", async () => {
    const { room, relay, ann } = await filled();
    const bob = await room.join({ user: "bob" });
    await room.settled(ann.say(near, far));
    await room.pass(0);
    expect(bob.of("signal").map(({ data }) => data)).toEqual(["near", "far"]);
    expect(relay.told.flatMap(({ signals }) => signals)).toMatchObject([
      { text: expect.stringContaining('"far"') as string },
    ]);
  });

  it("from a member at a relay is answered to that relay, and nobody else hears of it", async () => {
    const { room, relay, ann, cleo } = await filled();
    const replied = await relay.say(cleo, {}, { ...near, to: ["dan"] });
    await room.pass(0);
    expect(replied.near).toEqual([{ text: SAID, except: cleo.session, to: ["dan"] }]);
    expect(ann.of("signal")).toEqual([]);
    expect(relay.told.flatMap(({ signals }) => signals)).toEqual([]);
    expect((await relay.say(cleo, {}, far)).near).toBeUndefined();
    expect(ann.of("signal")).toHaveLength(1);
  });

  it("goes through the room's hook, wherever its sender is", async () => {
    const { relay, cleo } = await filled({
      onSignal: (_room, _me, data) => (data === "near" ? "changed" : reject("not that")),
    });
    const { near: said, texts } = await relay.say(cleo, {}, near, { ...near, data: "other" });
    expect(said).toEqual([{ text: SAID.replace('"near"', '"changed"'), except: cleo.session }]);
    expect(texts).toHaveLength(1);
    expect(texts[0]).toContain("not that");
  });

  it("needs the grant", async () => {
    const { relay, cleo } = await filled();
    const replied = await relay.say(cleo, { grants: ["join"] }, near);
    expect(replied.near).toBeUndefined();
    expect(replied.texts[0]).toContain("forbidden");
  });
});

/** Waits for something that takes a relay no time: if its clock went on, it would not wait for the room. */
async function inNoTime<T>(place: HostedRoom, work: Promise<T>): Promise<T> {
  const state = { isDone: false };
  const watched = work.finally(() => (state.isDone = true));
  for (let i = 0; !state.isDone && i < 1_000; i++) await place.pass(0);
  if (!state.isDone) throw new Error("the relay does not come to an end");
  return watched;
}

describe("a relay", () => {
  /** The relay itself, with two members, of a room that has another one. */
  async function relayed(definition: ConstructorParameters<typeof LargeRoom>[0]) {
    const { room } = new LargeRoom(definition);
    const away = await room.join({ user: "away" });
    const place = new HostedRoom();
    const exchanges: Up[] = [];
    const relay = new RelayHost({
      platform: place.place,
      observer: {
        report: () => undefined,
        ended: () => undefined,
        sendReport: () => Promise.resolve(),
        span: (_name, _attributes, run) => run(),
      },
      ask: (_home, up) => {
        exchanges.push(up);
        return room.settled(room.host.exchange(structuredClone(up)));
      },
      relayAt: () => ({ push: () => Promise.reject(new Error("nobody is behind this one")) }),
    });
    place.host = relay.room;
    const join = async (user: string): Promise<Peer> => {
      const credentials = { user, grants: ["join", "signal"] as const, issued: 0, expires: Infinity };
      const via = {
        relay: { binding: "RELAY", name: "eu/0", region: "eu" },
        home: { binding: "ROOM", kind: "test", room: "one" },
        each: 9,
      };
      const admission = {
        kind: "test",
        room: "one",
        credentials,
        requestId: "r",
        receivedAt: place.now,
        credit: false,
        via,
      };
      const opened = await inNoTime(place, relay.connect(admission));
      if (!opened.ok || !("client" in opened)) throw new Error("not opened");
      // Sound: the place makes every client's end.
      return opened.client as unknown as Peer;
    };
    const [cleo, dan] = [await join("cleo"), await join("dan")];
    exchanges.length = 0;
    return { away, cleo, dan, place, exchanges };
  }

  it("says what the room's hook made of it, to those who are near", async () => {
    const { away, cleo, dan, place, exchanges } = await relayed({ onSignal: () => "changed" });
    await inNoTime(place, cleo.say(near));
    expect(dan.of("signal")).toEqual([{ type: "signal", by: "cleo", data: "changed" }]);
    expect([...cleo.of("signal"), ...away.of("signal")]).toEqual([]);
    expect(exchanges).toHaveLength(1);
  });

  it("asks nobody where there is no hook", async () => {
    const { away, cleo, dan, place, exchanges } = await relayed({});
    await inNoTime(place, cleo.say(near));
    expect(dan.of("signal")).toEqual([{ type: "signal", by: "cleo", data: "near" }]);
    expect([...cleo.of("signal"), ...away.of("signal")]).toEqual([]);
    expect(exchanges).toEqual([]);
  });
});

describe("a room", () => {
  it.each([
    [true, { onSignal: () => undefined }],
    [false, {}],
  ])("tells its relays whether it has a hook for signals: %s", async (hasSignalHook, definition) => {
    const large = new LargeRoom(definition);
    const { rules } = await large.relay("eu/0").exchange({});
    expect(rules).toMatchObject({ hasSignalHook });
  });
});
