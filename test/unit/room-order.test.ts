/** What keeps a client's publishes in their order when some are refused, and its session with its newest attempt. */
import { describe, expect, it } from "vitest";
import { reject } from "../../src/room/definition.ts";
import { HostedRoom } from "../support/hosted.ts";

const RATE = { perSecond: 10, burst: 3 };
const publish = (ref: number, after?: number) => ({ type: "publish", ref, data: ref, ...(after && { after }) });

describe("publishes that follow one that was refused for now", () => {
  it("C1: are refused too, until it has come again", async () => {
    const room = new HostedRoom({ rate: RATE });
    const ann = await room.join();
    await room.settled(ann.say(publish(1), publish(2, 1), publish(3, 2), publish(4, 3)));
    expect(ann.of("error")).toMatchObject([{ ref: 4, code: "rate_limited" }]);
    await room.pass(1_000);
    await room.settled(ann.say(publish(5, 4)));
    expect(ann.of("error").at(-1)).toMatchObject({ ref: 5, code: "rate_limited", retryable: true, retryAfter: 0 });
    await room.settled(ann.say(publish(4), publish(5, 4)));
    expect(ann.items.map(({ data }) => data)).toEqual([1, 2, 3, 4, 5]);
  });

  it("C1: are refused too when the room was overloaded and never read it", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await room.settled(ann.say(publish(1)));
    // The second was refused at the door.
    await room.settled(ann.say(publish(3, 2)));
    expect(ann.of("error")).toMatchObject([{ ref: 3, code: "rate_limited" }]);
    await room.settled(ann.say(publish(2), publish(3, 2)));
    expect(ann.items.map(({ data }) => data)).toEqual([1, 2, 3]);
  });

  it("C1: are not held up by one that was refused for good", async () => {
    const onPublish = (_room: unknown, _me: unknown, data: unknown) => (data === 2 ? reject("no") : undefined);
    const room = new HostedRoom({ onPublish });
    const ann = await room.join();
    await room.settled(
      ann.say(publish(1), publish(2, 1), publish(3, 2), { type: "publish", ref: 4, after: 3 }, publish(5, 4)),
    );
    expect(ann.of("error").map(({ ref, code }) => [ref, code])).toEqual([
      [2, "rejected"],
      [4, "bad_frame"],
    ]);
    expect(ann.items.map(({ data }) => data)).toEqual([1, 3, 5]);
  });

  it("C1: are not let by when one of them is malformed", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await room.settled(ann.say(publish(1)));
    // The second was refused at the door.
    await room.settled(ann.say({ ...publish(3, 2), to: [] }, { ...publish(4, 3), after: "3" }, publish(5, 4)));
    expect(ann.of("error").map(({ ref, code }) => [ref, code])).toEqual([
      [3, "bad_frame"],
      [4, "bad_frame"],
      [5, "rate_limited"],
    ]);
    await room.settled(ann.say(publish(2), publish(5, 2)));
    expect(ann.items.map(({ data }) => data)).toEqual([1, 2, 5]);
  });

  it("C1: a call that was refused says nothing about publishes", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    await room.settled(ann.say({ type: "call", ref: 9, method: "none", data: null }, publish(3, 2)));
    expect(ann.of("error")).toMatchObject([{ ref: 3, code: "rate_limited" }]);
  });

  it("C1: after is an earlier ref, or the frame is malformed", async () => {
    const room = new HostedRoom();
    const ann = await room.join();
    for (const after of [0, 7, 8, "1", null]) await room.settled(ann.say({ type: "publish", ref: 7, data: 0, after }));
    expect(ann.of("error").map(({ code }) => code)).toEqual(Array.from({ length: 5 }, () => "bad_frame"));
  });

  it("C6: a repeat of what was refused is told that it took no effect, however the room slept meanwhile", async () => {
    const room = new HostedRoom({ rate: RATE });
    const ann = await room.join();
    await room.settled(ann.say(publish(1), publish(2), publish(3), publish(4)));
    await room.pass(1_000);
    await room.settled(ann.say(publish(5)));
    await room.evict();
    await room.settled(ann.say(publish(4)));
    expect(ann.of("error").at(-1)).toMatchObject({ ref: 4, code: "stale_ref", retryable: true });
    expect(ann.items.map(({ data }) => data)).toEqual([1, 2, 3, 5]);
  });
});

describe("attempts of one client that arrive in another order", () => {
  const attempt = (nth: number, client = "a") => ({ client, nth });

  it("an older one does not take the session from a newer one, also after the room slept", async () => {
    const room = new HostedRoom();
    const first = await room.join({ attempt: attempt(1) });
    const resume = { session: first.welcome.session };
    const third = await room.join({ resume, attempt: attempt(3) });
    expect(first.of("bye")).toMatchObject([{ reason: "replaced" }]);
    await room.evict();
    expect(await room.connect({ resume, attempt: attempt(2) })).toMatchObject({ ok: false, code: "replaced" });
    await room.settled(third.say(publish(1)));
    expect(third.of("ack")).toHaveLength(1);
    expect(third.of("bye")).toEqual([]);
  });

  it("a newer one, another client, and one that does not count its attempts take over", async () => {
    const room = new HostedRoom();
    const { welcome } = await room.join({ attempt: attempt(5) });
    const resume = { session: welcome.session };
    for (const later of [attempt(6), attempt(1, "b"), undefined, attempt(2)]) {
      const peer = await room.join({ resume, ...(later && { attempt: later }) });
      expect(peer.welcome.session).toBe(welcome.session);
    }
  });

  it("an older one gets the session when nobody holds it", async () => {
    const room = new HostedRoom();
    const newer = await room.join({ attempt: attempt(2) });
    await newer.end();
    const late = await room.join({ resume: { session: newer.welcome.session }, attempt: attempt(1) });
    expect(late.welcome.session).toBe(newer.welcome.session);
  });
});
