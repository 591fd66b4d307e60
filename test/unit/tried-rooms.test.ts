/**
 * What people tried with rooms elsewhere and asked for in vain: what a room does about it, and that the documents say the
 * same where one looks for it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { HostedRoom } from "../support/hosted.ts";

const doc = (name: string) =>
  readFileSync(join(import.meta.dirname, "../../docs", name), "utf8").replaceAll(/\s+/g, " ");

it("T10: what a member shows is gone with the member: at once with a leave, after the grace with a lost line", async () => {
  const room = new HostedRoom({ grace: 5_000 });
  const bob = await room.join({ user: "bob" });
  for (const [user, howToGo] of [
    ["ann", "leave"],
    ["eve", "end"],
  ] as const) {
    const writer = await room.join({ user });
    await room.settled(writer.say({ type: "presence", data: { typing: true } }));
    const isTyping = async () => {
      const { members } = (await room.join({ user: `new-${room.now}` })).welcome;
      return members.some(({ id, data }) => id === user && data !== undefined);
    };
    expect(await isTyping()).toBe(true);
    if (howToGo === "leave") await room.settled(writer.say({ type: "leave" }));
    else await writer.end();
    await room.pass(howToGo === "leave" ? 1 : 6_000);
    const left = bob.of("presence").flatMap((frame) => ("leave" in frame ? frame.leave : []));
    expect(left, user).toContain(user);
    expect(await isTyping()).toBe(false);
  }
  expect(doc("reference/rooms.md")).toContain('("is typing", a cursor) is presence: it goes when its member does');
});

it("T10: a signal has no place in the order of publications, and the documents say so", async () => {
  const room = new HostedRoom();
  const [ann, bob] = [await room.join({ user: "ann" }), await room.join({ user: "bob" })];
  await room.settled(ann.say({ type: "publish", ref: 1, data: "said before" }, { type: "signal", data: "now" }));
  await room.pass(100);
  expect(bob.of("signal").map(({ data }) => data)).toEqual(["now"]);
  expect(bob.items.map(({ data }) => data)).toEqual(["said before"]);
  expect(doc("reference/rooms.md")).toContain("**A signal can overtake a publication** that was sent before it");
});

it("T17: a user who is revoked is out of that room with all tokens of before, and of no other; the guide says so", async () => {
  const [one, other] = [new HostedRoom(), new HostedRoom()];
  const ann = await one.join({ user: "ann" });
  await other.join({ user: "ann" });
  expect(await one.operate({ type: "revoke", user: "ann" })).toMatchObject({ ok: true, value: { sessions: 1 } });
  expect(ann.of("bye").map(({ reason }) => reason)).toEqual(["revoked"]);
  const old = { user: "ann", credentials: { issued: one.now - 1 } };
  expect(await one.connect(old)).toMatchObject({ ok: false, code: "revoked" });
  expect(await other.connect(old)).toMatchObject({ ok: true });
  await one.pass(2_000);
  expect(await one.connect({ user: "ann", credentials: { issued: one.now } })).toMatchObject({ ok: true });
  expect(doc("guides/auth.md")).toMatch(
    /tokens issued until now are refused in that room\. There is no list for all rooms/,
  );
});

it("T27: a name that a room keeps with what was said is there when its owner has left, as the documents do it", async () => {
  const keepsName = "return { text: data.text.trim(), ...(me.name !== undefined && { name: me.name }) };";
  expect(doc("reference/rooms.md")).toContain(keepsName);
  expect(doc("reference/rooms.md")).toContain("names of people who have left keeps them with what was said");
  const room = new HostedRoom({
    grace: 0,
    snapshot: (of) => of.recent(10),
    onPublish: (_room, me, data) => {
      const { text } = data as { text: string };
      return { text: text.trim(), ...(me.name !== undefined && { name: me.name }) };
    },
  });
  const ann = await room.join({ user: "ann", credentials: { name: "Ann" } });
  await room.settled(ann.say({ type: "publish", ref: 1, data: { text: " hello " } }));
  await room.settled(ann.say({ type: "leave" }));
  await room.pass(1_000);
  const bob = await room.join({ user: "bob" });
  expect(bob.welcome.members.map(({ id }) => id)).toEqual(["bob"]);
  expect(JSON.stringify(bob.of("snapshot"))).toContain('{"text":"hello","name":"Ann"}');
});
