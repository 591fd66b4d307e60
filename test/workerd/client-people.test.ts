/** What a client shows and signals, on lines that break in between. */
import { expect, it, vi } from "vitest";
import { connect, memoryStore, type RoomClient, type RoomError, type SessionStore } from "../../src/client/client.ts";
import { Client, sign, upgrade } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

it("the last presence is shown in the end, also when the line broke before it was sent", async () => {
  const room = new TestedRoom();
  const sockets: WorkerSocket[] = [];
  let broken = false;
  class Losing extends WorkerSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
    override send(data: string): void {
      // From the second presence on, nothing of the first socket arrives any more.
      broken ||= data.includes('"typing":false');
      if (!broken || sockets.length > 1) super.send(data);
    }
  }
  const client = connect("http://edge.test", { room: room.path, token: () => sign("ann"), WebSocket: Losing });
  const members: unknown[] = [];
  client.on("members", (list) => members.push(list.find(({ id }) => id === "ann")?.data));
  await client.publish("here");
  client.setPresence({ typing: true });
  await vi.waitFor(() => expect(members.at(-1)).toEqual({ typing: true }));
  client.setPresence({ typing: false });
  await vi.waitFor(() => expect(broken).toBe(true));
  sockets[0]?.cut();
  client.connect();
  await vi.waitFor(() => expect(members.at(-1)).toEqual({ typing: false }), { timeout: 4_000 });
  expect(await room.stub.members()).toEqual([{ id: "ann", data: { typing: false } }]);
  client.close();
});

it("more signals than the room takes are lost here, and neither the connection nor a publish suffers", async () => {
  const room = new TestedRoom();
  const { client: other } = await Client.join(room.path, { user: "bob" });
  const client = connect("http://edge.test", { room: room.path, token: () => sign("ann"), WebSocket: WorkerSocket });
  const states: string[] = [];
  client.on("state", ({ name }) => states.push(name));
  await client.publish("first");
  for (let i = 0; i < 400; i++) client.signal(i);
  await client.publish("last");
  await other.until(() => other.items.length === 2);
  expect(other.of("signal").length).toBeGreaterThan(50);
  expect(other.of("signal").length).toBeLessThanOrEqual(100);
  expect(states).toEqual(["open"]);
  client.close();
});

it("a room that asked to be left alone is not asked again because a page becomes visible", async () => {
  const room = new TestedRoom();
  (await upgrade(room.path)).webSocket?.accept();
  await room.stub.drain("60s");
  const page = new EventTarget() as EventTarget & { visibilityState: string };
  page.visibilityState = "visible";
  vi.stubGlobal("document", page);
  const before = WorkerSocket.all.size;
  const dials: string[] = [];
  class Counted extends WorkerSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      dials.push(url);
    }
  }
  const client = connect("http://edge.test", { room: room.path, token: () => sign("bob"), WebSocket: Counted });
  await vi.waitFor(() => expect(client.state).toMatchObject({ name: "reconnecting" }));
  page.dispatchEvent(new Event("visibilitychange"));
  expect([client.state.name, dials.length]).toEqual(["reconnecting", 1]);
  expect(WorkerSocket.all.size).toBeLessThanOrEqual(before + 1);
  client.close();
  vi.unstubAllGlobals();
});

/** A line whose network can die without a word. */
class Line extends WorkerSocket {
  static lines: Line[] = [];
  isDead = false;
  constructor(url: string, protocols: string[]) {
    super(url, protocols);
    Line.lines.push(this);
  }
  override send(data: string): void {
    if (!this.isDead) super.send(data);
  }
  override addEventListener(type: string, listener: (event: { data?: unknown }) => void): void {
    super.addEventListener(type, (event) => (this.isDead && type === "message") || listener(event));
  }
}

/** A client that has published once, and a copy of it that has taken the session over; the first one's line is dead. */
async function copiedTab() {
  Line.lines = [];
  const room = new TestedRoom();
  const key = `ws://edge.test/rooms/${room.path}`;
  const [mine, copied] = [memoryStore(), memoryStore()];
  const open = (storage: SessionStore) =>
    connect("http://edge.test", {
      room: room.path,
      token: () => sign("ann"),
      WebSocket: Line,
      storage,
      random: () => 0.01,
    });
  const original = open(mine);
  await original.publish("seen by both");
  const [line] = Line.lines as [Line];
  line.isDead = true;
  const unsure = publishes(original, "of the original, on a dead line", 5);
  copied.set(key, mine.get(key) ?? "");
  const copy = open(copied);
  expect(await publishes(copy, "of the copy", 5)).toEqual([2, 3, 4, 5, 6]);
  return { original, copy, line, copyLine: Line.lines[1] as Line, unsure };
}

/** Publishes so many times; returns the offsets of what was acked, and the codes of what was not. */
async function publishes(client: RoomClient, what: string, times: number): Promise<unknown[]> {
  const settled = Array.from({ length: times }, (_, i) => client.publish(`${what} ${i}`));
  return Promise.all(
    settled.map((one) =>
      one.then(
        ({ offset }) => offset,
        (error: RoomError) => error.code,
      ),
    ),
  );
}

it("a copied tab and its original, whose line is dead, never get each other's acks", async () => {
  const { original, copy, line, unsure } = await copiedTab();
  line.cut();
  // The original takes its session back; what it repeats the room cannot know. It must not take the copy's acks for its own.
  expect(await unsure).toEqual(Array(5).fill("outcome_unknown"));
  expect(await original.publish("goes on")).toMatchObject({ offset: 7 });
  expect(await copy.publish("so does the copy")).toMatchObject({ offset: 8 });
  original.close();
  copy.close();
});

it("nor the other way round: the copy's line is dead when the original is back", async () => {
  const { original, copy, line, copyLine, unsure } = await copiedTab();
  copyLine.isDead = true;
  const lost = publishes(copy, "of the copy, on a dead line", 5);
  line.cut();
  expect(await unsure).toEqual(Array(5).fill("outcome_unknown"));
  expect(await publishes(original, "back", 5)).toEqual([7, 8, 9, 10, 11]);
  copyLine.cut();
  expect(await lost).toEqual(Array(5).fill("outcome_unknown"));
  original.close();
  copy.close();
});
