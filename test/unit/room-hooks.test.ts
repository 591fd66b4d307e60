/** Hooks see whom something is for and where it goes, and have a say about signals and presence as about publications. */
import { describe, expect, it } from "vitest";
import type { Json } from "../../src/protocol/frames.ts";
import { reject, type Definition, type RoomContext } from "../../src/room/definition.ts";
import { HostedRoom, type Peer } from "../support/hosted.ts";

const publish = (ref: number, data: unknown, to?: string[]) => ({ type: "publish", ref, data, ...(to && { to }) });
const errors = (peer: Peer) => peer.of("error").map(({ code, frame, message }) => ({ code, frame, message }));

/** A row by a hook, to see whether it stands. */
function note(room: RoomContext, data: Json): void {
  room.sql.exec("CREATE TABLE IF NOT EXISTS notes (text TEXT)");
  room.sql.exec("INSERT INTO notes VALUES (?)", JSON.stringify(data));
}

async function pair(definition: Definition) {
  const room = new HostedRoom(definition);
  const ann = await room.join({ user: "ann" });
  const bob = await room.join({ user: "bob" });
  const notes = () => room.rows("SELECT text FROM notes").map((row) => row["text"]);
  return { room, ann, bob, notes };
}

describe("onPublish", () => {
  it("T16: sees whom a publication is for and the offset that it gets, and cannot change either", async () => {
    const seen: unknown[] = [];
    const { room, ann, bob } = await pair({
      onPublish(_room, _me, data, submitted) {
        seen.push(structuredClone(submitted));
        (submitted.to as string[] | undefined)?.push("eve");
        return data === "no" ? reject("not this one") : undefined;
      },
    });
    const eve = await room.join({ user: "eve" });
    await room.settled(ann.say(publish(1, "all"), publish(2, "no"), publish(3, "bob's", ["bob"])));
    await room.operate({ type: "post", data: "by http", to: ["bob"] });
    expect(seen).toEqual([{ offset: 1 }, { offset: 2 }, { offset: 2, to: ["bob"] }, { offset: 3, to: ["bob"] }]);
    expect(bob.items.map(({ offset, to }) => ({ offset, ...(to && { to }) }))).toEqual([
      { offset: 1 },
      { offset: 2, to: ["bob"] },
      { offset: 3, to: ["bob"] },
    ]);
    expect(eve.items.map(({ data }) => data)).toEqual(["all"]);
  });

  it("T16: an archive that keeps to it shows nobody what was for others", async () => {
    const { room, ann } = await pair({
      onPublish(self, me, data, { to, offset }) {
        self.sql.exec("CREATE TABLE IF NOT EXISTS archive (offset INTEGER, data TEXT, readers TEXT)");
        const readers = to ? JSON.stringify([me.id, ...to]) : null;
        self.sql.exec("INSERT INTO archive VALUES (?, ?, ?)", offset, JSON.stringify(data), readers);
      },
    });
    await room.settled(ann.say(publish(1, "all"), publish(2, "secret", ["bob"])));
    expect(room.rows("SELECT * FROM archive ORDER BY offset")).toEqual([
      { offset: 1, data: '"all"', readers: null },
      { offset: 2, data: '"secret"', readers: '["ann","bob"]' },
    ]);
  });
});

describe("onSignal", () => {
  it("T13: rejects, rewrites or lets be, and the sender of what is rejected is told", async () => {
    const { room, ann, bob } = await pair({
      onSignal(self, me, data, { to }) {
        if (data === "muted") return reject("You are muted.", "2s");
        return data === "loud" ? { by: me.id, to: to ?? null, at: self.offset } : undefined;
      },
    });
    const signal = (data: string, to?: string[]) => ({ type: "signal", data, ...(to && { to }) });
    await room.settled(ann.say(signal("muted"), signal("as it is"), signal("loud", ["bob"])));
    expect(bob.of("signal")).toEqual([
      { type: "signal", by: "ann", data: "as it is" },
      { type: "signal", by: "ann", data: { by: "ann", to: ["bob"], at: 0 } },
    ]);
    expect(ann.of("error")).toEqual([
      {
        type: "error",
        frame: "signal",
        code: "rejected",
        message: "You are muted.",
        retryable: true,
        retryAfter: 2_000,
      },
    ]);
    expect(room.failures).toEqual([]);
  });

  it("T13: what throws undoes its own rows, sends nothing, and is reported; the signal beside it goes out", async () => {
    const { room, ann, bob, notes } = await pair({
      onSignal(self, _me, data) {
        note(self, data);
        self.publish({ about: data });
        if (data === "bad") throw new Error("broke");
      },
    });
    await room.settled(ann.say({ type: "signal", data: "bad" }, { type: "signal", data: "good" }));
    expect(bob.of("signal").map(({ data }) => data)).toEqual(["good"]);
    expect(bob.items.map(({ data }) => data)).toEqual([{ about: "good" }]);
    expect(notes()).toEqual(['"good"']);
    expect(errors(ann)).toMatchObject([{ code: "hook_failed", frame: "signal" }]);
    expect(room.failures).toMatchObject([{ code: "hook_failed", source: "onSignal", user: "ann" }]);
  });

  it("runs for members only: not for the room's own signals, nor without the grant", async () => {
    const seen: unknown[] = [];
    const { room, ann } = await pair({
      onSignal: (_room, _me, data) => void seen.push(data),
      methods: { say: (self) => self.signal("from a hook") },
    });
    const mute = await room.join({ user: "eve", credentials: { grants: ["join"] } });
    await room.settled(mute.say({ type: "signal", data: "not granted" }));
    await room.settled(ann.say({ type: "call", ref: 1, method: "say", data: null }));
    await room.settled(room.host.command({ type: "signal", data: "by rpc" }));
    expect(ann.of("signal").map(({ data }) => data)).toEqual(["from a hook", "by rpc"]);
    expect(seen).toEqual([]);
  });

  it("that returns what JSON leaves out sends null, and what is too large fails alone", async () => {
    const odd = (() => 1) as never;
    const { room, ann, bob } = await pair({
      onSignal: (_room, _me, data) => (data === "large" ? "x".repeat(1_100_000) : odd),
    });
    await room.settled(ann.say({ type: "signal", data: "large" }, { type: "signal", data: "odd" }));
    expect(bob.of("signal").map(({ data }) => data)).toEqual([null]);
    expect(errors(ann)).toMatchObject([{ code: "hook_failed", frame: "signal" }]);
  });
});

describe("onPresence", () => {
  it("T13: rejects, rewrites or lets be, and sees what was shown before", async () => {
    const before: unknown[] = [];
    const { room, ann, bob } = await pair({
      onPresence(_room, me, data) {
        before.push(me.data);
        if (data === "rude") return reject("Be kind.");
        return typeof data === "string" ? { text: data } : undefined;
      },
    });
    for (const data of ["hello", "rude", { as: "it is" }, null])
      await room.settled(ann.say({ type: "presence", data }));
    const shown = bob.of("presence").flatMap(({ update = [] }) => update.map(({ data }) => data));
    expect(shown).toEqual([{ text: "hello" }, { as: "it is" }, null]);
    expect(before).toEqual([undefined, { text: "hello" }, { text: "hello" }, { as: "it is" }]);
    expect(errors(ann)).toEqual([{ code: "rejected", frame: "presence", message: "Be kind." }]);
  });

  it("T13: what it makes too large is refused, and its rows are undone; its throw is reported", async () => {
    const { room, ann, bob, notes } = await pair({
      onPresence(self, _me, data) {
        note(self, data);
        if (data === "throw") throw new Error("broke");
        return data === "grow" ? "x".repeat(3_000) : undefined;
      },
    });
    for (const data of ["grow", "throw", "fine"]) await room.settled(ann.say({ type: "presence", data }));
    expect(bob.of("presence").flatMap(({ update = [] }) => update)).toEqual([{ id: "ann", data: "fine" }]);
    expect(notes()).toEqual(['"fine"']);
    expect(errors(ann)).toMatchObject([
      { code: "rejected", message: "presence is at most 2048 bytes" },
      { code: "hook_failed" },
    ]);
    expect(room.failures).toMatchObject([{ code: "hook_failed", source: "onPresence", user: "ann" }]);
  });

  it("an object that the hook keeps and changes later changes nothing", async () => {
    const kept = { n: 1 };
    const { room, ann } = await pair({ onPresence: () => kept });
    await room.settled(ann.say({ type: "presence", data: "any" }));
    kept.n = 2;
    const carl = await room.join({ user: "carl" });
    expect(carl.welcome.members.find(({ id }) => id === "ann")?.data).toEqual({ n: 1 });
  });
});

it("T13: a room without these hooks opens no nested transaction for a signal, presence or publication", async () => {
  const { room, ann } = await pair({});
  const statements: string[] = [];
  room.storage.fault = (statement) => void statements.push(statement);
  await room.settled(
    ann.say({ type: "signal", data: 1 }, { type: "presence", data: 1 }, publish(1, "x"), publish(2, "y")),
  );
  room.storage.fault = undefined;
  expect(statements.filter((statement) => /^SAVEPOINT/i.test(statement))).toEqual([]);
  expect(statements.filter((statement) => /^BEGIN/i.test(statement))).toHaveLength(1);
});
