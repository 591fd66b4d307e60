/** What travels: how messages are cut, what answers a frame, and in which order lists are. */
import { describe, expect, it } from "vitest";
import { HostedRoom, type Joining, type Peer } from "../support/hosted.ts";

const MIB = 1_048_576;
/** A message is cut before the frame that makes it longer; brackets and commas come on top. */
const MOST = MIB + 1_024;

/** The server side publishes so many times, one tick each. */
async function publish(room: HostedRoom, times: number, data: string | number, to?: readonly string[]): Promise<void> {
  for (let i = 0; i < times; i++) {
    await room.settled(room.host.command({ type: "publish", data, ...(to && { to }) }));
    await room.pass(1_000);
  }
}

/** What a client was sent since it had so many messages. */
function since(peer: Peer, messages: number) {
  const texts = peer.messages.slice(messages);
  const types = texts.map((text) => ([JSON.parse(text)].flat() as { type: string }[]).map(({ type }) => type));
  return { lengths: texts.map((text) => text.length), types };
}

describe("a message", () => {
  it("R14: of a resume of 1.5 MB is cut before 1 MiB", async () => {
    const room = new HostedRoom();
    const gone = await room.join();
    const { session, epoch } = gone.welcome;
    await gone.end();
    await publish(room, 30, "x".repeat(50_000));
    const back = await room.join({ resume: { session, position: { epoch, offset: 0 } } });
    expect(back.welcome.resumed).toBe(true);
    const { lengths } = since(back, 0);
    expect(lengths).toHaveLength(2);
    expect(Math.max(...lengths)).toBeLessThan(MOST);
    expect(back.items.map(({ offset }) => offset)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  });

  it("R14: that ends with bye is cut too, and bye is the last frame of the last one", async () => {
    const room = new HostedRoom();
    await publish(room, 36, "x".repeat(50_000));
    const ann = await room.join();
    const before = ann.messages.length;
    await room.settled(ann.say({ type: "sync", offset: 0 }, { type: "leave" }));
    const { lengths, types } = since(ann, before);
    expect(lengths).toHaveLength(2);
    expect(Math.max(...lengths)).toBeLessThan(MOST);
    expect(types.flat().filter((type) => type === "bye")).toHaveLength(1);
    expect(types.at(-1)?.at(-1)).toBe("bye");
    expect(ann.items).toHaveLength(36);
  });

  it("R14: for everyone is cut where signals and publications of one tick are more than 1 MiB", async () => {
    const room = new HostedRoom();
    const [ann, bob] = [await room.join(), await room.join({ user: "bob" })];
    await room.pass(1_000);
    const before = [ann, bob].map(({ messages }) => messages.length);
    const half = "x".repeat(500_000);
    const all = ["publish", "signal", "publish", "signal"].map((type) =>
      room.host.command({ type: type as "publish" | "signal", data: half }),
    );
    await room.settled(Promise.all([room.host.command({ type: "members" }), ...all]));
    for (const [i, peer] of [ann, bob].entries()) {
      const { lengths, types } = since(peer, before[i] ?? 0);
      expect(Math.max(...lengths)).toBeLessThan(MOST);
      expect(types.flat().toSorted()).toEqual(["pub", "pub", "signal", "signal"]);
    }
  });

  it("R14: that a client alone cannot have in pieces is sent whole: one frame is never cut", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    const before = ann.messages.length;
    await publish(room, 1, "x".repeat(MIB - 200));
    expect(since(ann, before).types).toEqual([["pub"]]);
  });

  it("R14: a caller that waits for a tick that the disk undoes is told storage_failed", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    room.storage.fault = (statement) => {
      if (statement.includes("INTO edgerooms_log")) throw new Error("SQLITE_IOERR");
    };
    await room.settled(ann.say({ type: "publish", ref: 1, data: 1 }));
    expect(ann.of("error")).toMatchObject([{ ref: 1, code: "storage_failed", retryable: true }]);
  });
});

describe("an error", () => {
  const poor: Joining = { credentials: { grants: ["join"] } };
  const big = "x".repeat(30_000);

  it.each([
    ["signal", { type: "signal", data: 1 }, "forbidden"],
    ["presence", { type: "presence", data: big }, "rejected"],
    ["ack", { type: "ack", offset: 7 }, "bad_frame"],
  ])("R22: that has no ref names the frame that failed: %s", async (frame, said, code) => {
    const room = new HostedRoom();
    const ann = await room.join(poor);
    await room.settled(ann.say(said));
    const [error] = ann.of("error");
    expect(error).toMatchObject({ code, frame });
    expect(error).not.toHaveProperty("ref");
  });

  it("R22: of a sync, which fails only by its rate, names it", async () => {
    const room = new HostedRoom({ rate: { perSecond: 1, burst: 10 } });
    const ann = await room.join();
    await room.settled(ann.say({ type: "sync", offset: 0 }, { type: "sync", offset: 0 }));
    expect(ann.of("error")).toMatchObject([{ code: "rate_limited", frame: "sync" }]);
  });

  it("R22: of a publish has its ref instead, and that of a call is its reply", async () => {
    const room = new HostedRoom();
    const ann = await room.join(poor);
    const call = { type: "call", ref: 4, method: "none", data: null };
    await room.settled(ann.say({ type: "publish", ref: 3, data: 1 }, call));
    const [error] = ann.of("error");
    expect(error).toMatchObject({ ref: 3, code: "forbidden" });
    expect(error).not.toHaveProperty("frame");
    expect(ann.of("reply")).toMatchObject([{ ref: 4, error: { code: "forbidden" } }]);
  });

  it("R22: of what could not be read has neither", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await room.settled(ann.say({ type: "nonsense" }));
    const [error] = ann.of("error");
    expect(error).toMatchObject({ code: "bad_frame" });
    expect(error).not.toHaveProperty("frame");
    expect(error).not.toHaveProperty("ref");
  });

  it("R22: of a frame whose tick failed names the frame as well", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    room.storage.fault = (statement) => {
      if (statement.includes("INTO edgerooms_sessions")) throw new Error("SQLITE_IOERR");
    };
    await room.settled(ann.say({ type: "presence", data: 1 }));
    expect(ann.of("error")).toMatchObject([{ code: "storage_failed", frame: "presence" }]);
  });
});

describe("a sync", () => {
  /** What a client is sent for its sync after an offset. */
  async function answerTo(peer: Peer, room: HostedRoom, offset: number) {
    const before = peer.frames.length;
    await room.settled(peer.say({ type: "sync", offset }));
    return peer.frames.slice(before);
  }

  it.each([false, true])(
    "R22: with nothing to send is answered with an empty pub at the head (credit: %s)",
    async (credit) => {
      const room = new HostedRoom();
      const ann = await room.join({ credit });
      expect(await answerTo(ann, room, 0)).toEqual([{ type: "pub", from: 1, upto: 0, items: [] }]);
      await publish(room, 3, 1);
      expect(await answerTo(ann, room, 3)).toEqual([{ type: "pub", from: 4, upto: 3, items: [] }]);
    },
  );

  it("R22: whose rest is addressed to others is answered with a pub up to the head", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await publish(room, 3, 1, ["zoe"]);
    expect(await answerTo(ann, room, 1)).toEqual([{ type: "pub", from: 2, upto: 3, items: [] }]);
  });

  it("R22: in the tick of a publish is answered up to what that tick published", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await room.settled(ann.say({ type: "publish", ref: 1, data: 1 }, { type: "sync", offset: 1 }));
    expect(ann.of("pub").at(-1)?.upto).toBe(1);
    expect(ann.of("pub").length, "the item and the answer").toBeGreaterThan(0);
  });

  it("R22: that cannot be answered from the log is answered with the state at the head", async () => {
    const room = new HostedRoom({ retain: 1 });
    const ann = await room.join();
    await publish(room, 9, 1);
    expect(await answerTo(ann, room, 1)).toMatchObject([{ type: "snapshot", offset: 9, reason: "log_trimmed" }]);
  });
});

it("R22: members are in order of UTF-16 code units, everywhere", async () => {
  const room = new HostedRoom();
  const users = ["b", "\u{ffee}", "a", "Z", "\u{10000}", "é", "10", "9"];
  for (const user of users) await room.join({ user });
  const ordered = ["10", "9", "Z", "a", "b", "é", "\u{10000}", "\u{ffee}"];
  const last = await room.join({ user: "a" });
  expect(last.welcome.members.map(({ id }) => id)).toEqual(ordered);
  const asked = await room.settled(room.host.command({ type: "members" }));
  expect(asked.ok && asked.value.map(({ id }) => id)).toEqual(ordered);
  await room.evict();
  const woken = await room.join({ user: "b" });
  expect(woken.welcome.members.map(({ id }) => id)).toEqual(ordered);
});
