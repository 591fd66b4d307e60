/** What a client shows and signals, on lines that break in between. */
import { expect, it, vi } from "vitest";
import { connect } from "../../src/client/client.ts";
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
  await vi.waitFor(() => expect(client.state).toMatchObject({ name: "waiting" }));
  page.dispatchEvent(new Event("visibilitychange"));
  expect([client.state.name, dials.length]).toEqual(["waiting", 1]);
  expect(WorkerSocket.all.size).toBeLessThanOrEqual(before + 1);
  client.close();
  vi.unstubAllGlobals();
});
