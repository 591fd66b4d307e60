/** The client's connection in virtual time: codes that end it, and what it leaves behind. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { memoryStore, type RoomClient } from "../../src/client/client.ts";
import { dialled, joined } from "../support/dialled.ts";
import type { Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the room's last word", () => {
  it.each([
    [4400, "kicked"],
    [1000, "done"],
  ])("the final code %i closes the client and rejects what waits", async (code, reason) => {
    const { client, line, log, all } = await joined();
    const [sent, message] = [client.publish(1), "no more"];
    await pass(0);
    line().hears({ type: "bye", code, reason, message });
    await expect(sent).rejects.toMatchObject({ code: "outcome_unknown", retryable: false });
    await expect(client.publish(2)).rejects.toMatchObject({ code: "closed", retryable: false });
    await pass(1_000_000);
    expect([log, client.pending, all.length]).toEqual([[`closed ${reason}: no more`], 0, 1]);
    client.close();
    expect(client.state).toEqual({ name: "closed", code: reason, retryable: false, reason: `${reason}: no more` });
    client.connect();
    await pass(0);
    expect(all).toHaveLength(2);
  });

  it("each attempt has the name of its client and the next number, and asks for credit", async () => {
    const first = await joined();
    const attempts = [first.line().url.searchParams.get("attempt")];
    first.line().cut();
    await pass(2_000);
    attempts.push(first.line().url.searchParams.get("attempt"));
    const [name = "", nth] = attempts[0]?.split(".") ?? [];
    expect(attempts).toEqual([`${name}.1`, `${name}.2`]);
    expect(name).toMatch(/^[\w-]{1,32}$/);
    expect(nth).toBe("1");
    expect(first.line().url.searchParams.get("credit")).toBe("1");
  });

  it("a replaced client takes a new session and leaves the stored one alone", async () => {
    const storage = memoryStore();
    const { line, log } = await joined({ storage });
    line().hears({ type: "bye", code: 4402, reason: "replaced" });
    await pass(10);
    expect(log).toEqual(["reconnecting 10 replaced", "connecting"]);
    expect(line().resume).toBe("");
    expect(storage.get("ws://edge.test/rooms/relay/one")).toContain('"session":"s"');
  });

  it("a draining room is left alone as long as it asks, with jitter on top", async () => {
    const { line, log } = await joined();
    line().hears({ type: "goaway", within: 20_000 });
    line().hears({ type: "bye", code: 4102, reason: "draining", retryAfter: 20_000 });
    expect(log).toEqual(["goaway 20000", "reconnecting 20010 draining"]);
  });
});

describe("close()", () => {
  const moments: [string, (client: RoomClient, line: () => Line) => Promise<unknown>][] = [
    ["before the token", async () => undefined],
    ["before the welcome", async () => pass(0)],
    ["in the room", async (_, line) => (await pass(0), line().welcome())],
    [
      "with everything under way",
      async (client, line) => {
        await pass(0);
        line().welcome();
        client.call("none").catch(() => undefined);
        for (let i = 0; i < 200; i++) client.publish(i).catch(() => undefined);
        await pass(100);
      },
    ],
    ["while reconnecting", async (_, line) => (await pass(0), line().cut())],
    ["while asked for a sign of life", async (_, line) => (await pass(0), line().welcome(), pass(30_000))],
  ];
  it.each(moments)("close() %s leaves no timer and no socket", async (_, moment) => {
    const { client, line, all } = dialled();
    await moment(client, line);
    client.close();
    expect(client.state).toEqual({ name: "closed", code: "closed", retryable: true, reason: "closed" });
    const dials = all.length;
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
    expect([all.length, all.every(({ readyState }) => readyState > 1)]).toEqual([dials, true]);
  });

  it("close() keeps the session for connect(), leave() ends and forgets it", async () => {
    const storage = memoryStore();
    const { client, line } = await joined({ storage });
    client.close();
    client.connect();
    await pass(0);
    expect(line().url.searchParams.get("session")).toBe("s");
    line().welcome({ resumed: true });
    const farewell = client.publish("farewell").catch((error: { code: string }) => error.code);
    const { frames } = line();
    client.leave();
    expect(
      line()
        .frames.slice(frames.length)
        .map(({ type }) => type),
    ).toEqual(["publish", "leave"]);
    expect(await farewell).toBe("outcome_unknown");
    expect([client.position, storage]).toEqual([undefined, new Map()]);
    client.connect();
    await pass(0);
    expect(line().resume).toBe("");
  });
});
