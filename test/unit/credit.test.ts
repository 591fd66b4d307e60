/** Credit between the room and what the SDK makes of it: who is stopped goes on, and nobody is told anything twice. */
import { expect, it } from "vitest";
import { Position } from "../../src/client/session/position.ts";
import { memoryStore } from "../../src/client/storage.ts";
import { decodeServer } from "../../src/protocol/codec.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";

const UNLIMITED = { perSecond: 1_000_000, burst: 1_000_000 };

/** A client that reads what its peer hears and answers as the SDK does, both after a delay. */
class Reader {
  readonly seen: number[] = [];
  readonly sent: string[] = [];
  readonly #room: HostedRoom;
  readonly #peer: Peer;
  readonly #delay: number;
  readonly #position = new Position(memoryStore(), "room");
  #heard = 0;
  #way: { readonly at: number; readonly arrive: () => void }[] = [];

  constructor(room: HostedRoom, peer: Peer, delay: number) {
    this.#room = room;
    this.#peer = peer;
    this.#delay = delay;
  }

  /** Everything happens that is due by now. */
  act(): void {
    for (; this.#heard < this.#peer.messages.length; this.#heard++) {
      const text = this.#peer.messages[this.#heard] ?? "";
      this.#way.push({ at: this.#room.now + this.#delay, arrive: () => this.#read(text) });
    }
    for (let next = this.#way[0]; next && next.at <= this.#room.now; next = this.#way[0]) {
      this.#way.shift();
      next.arrive();
    }
  }

  #read(text: string): void {
    const message = { isGap: false, heartbeat: 0, isAsked: false, bytes: text.length };
    for (const frame of decodeServer(text) ?? []) {
      if (frame.type === "welcome") this.#position.begin(frame.session, frame.epoch, frame.resumed);
      else if (frame.type === "snapshot") this.#position.moveTo(frame.offset, true);
      else if (frame.type === "heartbeat") ({ offset: message.heartbeat, ack: message.isAsked = false } = frame);
      else if (frame.type === "pub") {
        message.isGap = frame.from > this.#position.offset + 1;
        if (message.isGap) continue;
        this.seen.push(...frame.items.map(({ offset }) => offset));
        this.#position.moveTo(Math.max(frame.upto, this.#position.offset));
      }
    }
    this.#position.read(message, (frame) => {
      this.sent.push(frame);
      const arrive = () => void this.#room.host.message(this.#peer, frame);
      this.#way.push({ at: this.#room.now + this.#delay, arrive });
      return true;
    });
  }
}

it("R12: a client whose credit others' publications used up is asked to acknowledge, and goes on at once", async () => {
  const room = new HostedRoom({ rate: UNLIMITED });
  const ann = await room.join({ user: "ann" });
  const other = await room.join({ user: "other", credit: true });
  const reader = new Reader(room, other, 0);
  for (let ref = 1; ref <= 120; ref++) {
    await room.settled(ann.say({ type: "publish", ref, data: "x".repeat(20_000), to: ["ann"] }));
    reader.act();
    reader.act();
  }
  await room.settled(ann.say({ type: "publish", ref: 121, data: "for everyone" }));
  reader.act();
  expect(other.items.map(({ data }) => data)).toEqual(["for everyone"]);
});

it.each([
  { delay: 25, publications: 512 },
  { delay: 100, publications: 250 },
  { delay: 250, publications: 100 },
])("R12: stopped while its ack is on the way for $delay ms, a client is told nothing twice", async (line) => {
  const room = new HostedRoom({ rate: { perSecond: 100, burst: 100 }, retain: 100_000 });
  const ann = await room.join({ user: "ann", credit: true });
  const reader = new Reader(room, ann, line.delay);
  let published = 0;
  for (let i = 0; i < 40; i++) {
    const all = Array.from({ length: line.publications }, () =>
      room.host.command({ type: "publish", data: ++published }),
    );
    for (let ms = 0; ms < 50; ms += 5) {
      await room.pass(5);
      reader.act();
    }
    await Promise.all(all);
  }
  for (let i = 0; i < 10_000 && reader.seen.length < published; i++) {
    await room.pass(5);
    reader.act();
  }
  expect(reader.seen).toEqual(Array.from({ length: published }, (_, i) => i + 1));
  expect(ann.items.length, "sent once each").toBe(published);
  expect(reader.sent.filter((frame) => frame.includes("sync"))).toEqual([]);
  expect(ann.of("heartbeat").filter(({ ack }) => ack).length, "it was stopped now and then").toBeGreaterThan(0);
  expect(ann.of("bye")).toEqual([]);
});

it("R18: acks that open nothing do not have the log read", async () => {
  const room = new HostedRoom({ rate: UNLIMITED, retain: 100_000 });
  await room.join({ user: "bob" });
  const before = await room.join({ user: "ann", credit: true });
  const { epoch, session } = before.welcome;
  await before.end();
  for (let i = 0; i < 20; i++) {
    await room.settled(
      Promise.all(Array.from({ length: 500 }, () => room.host.command({ type: "publish", data: "y".repeat(20) }))),
    );
  }
  const ann = await room.join({ user: "ann", credit: true, resume: { session, position: { epoch, offset: 0 } } });
  const fed = ann.items.length;
  expect(fed).toBeGreaterThan(2_000);
  expect(fed).toBeLessThan(10_000);
  let reads = 0;
  room.storage.fault = (statement) => void (reads += Number(statement.includes("FROM edgerooms_log")));
  for (let offset = 1; offset <= 1_000; offset += 250) {
    await room.settled(
      ann.say(...Array.from({ length: 250 }, (_, i) => ({ type: "ack", offset: offset + i }) as const)),
    );
  }
  expect(reads).toBe(0);
  expect(ann.items.length).toBe(fed);
  await room.settled(ann.say({ type: "ack", offset: fed }));
  expect(ann.items.length).toBeGreaterThan(fed);
});
