/** `npm run drain` against the real `npm start`, while clients of the SDK are in the middle of work in several rooms. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { connect, memoryStore, type Publication, type RoomClient } from "../../src/client/client.ts";
import { eventually } from "../support/patience.ts";
import { Peer } from "./peer.ts";
import { Server } from "./server.ts";

const ROOMS = ["one", "two", "three"];
const PER_ROOM = 3;
const server = new Server();
beforeAll(() => server.start());
afterAll(() => server.stop());

/** Runs the command as the README says; returns its exit code and all it printed. */
async function drain(...args: string[]): Promise<{ code: number | null; output: string }> {
  const cwd = join(import.meta.dirname, "../..");
  const child = spawn("npm", ["run", "--silent", "drain", "--", ...args], {
    cwd,
    env: { ...process.env, EDGEROOMS_TOKEN: "" },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  return { code, output };
}

it("drains every room: all are told once, closed once, refused meanwhile, and back afterwards with nothing lost", async () => {
  const members: { room: RoomClient; items: Publication[]; log: string[]; settled: number; said: number }[] = [];
  for (const name of ROOMS) {
    for (let i = 0; i < PER_ROOM; i++) {
      const room = connect(server.url, {
        room: name,
        token: () => server.token(`user ${i}`),
        WebSocket,
        storage: memoryStore(),
      });
      const member = { room, items: [] as Publication[], log: [] as string[], settled: 0, said: 0 };
      members.push(member);
      room.on("publication", (item) => member.items.push(item as Publication));
      room.on("goaway", () => member.log.push("goaway"));
      room.on("resumed", () => member.log.push("resumed"));
      room.on("reset", ({ reason }) => member.log.push(`reset ${reason}`));
      room.on("state", (state) => state.name === "reconnecting" && member.log.push(`lost ${state.reason}`));
    }
  }
  await eventually(() => expect(members.map(({ room }) => room.state.name)).not.toContain("connecting"));
  const work = setInterval(() => {
    for (const member of members) {
      member.said++;
      void member.room.publish(member.said).then(() => member.settled++);
    }
  }, 100);
  try {
    await eventually(() => expect(Math.min(...members.map(({ items }) => items.length))).toBeGreaterThan(5));
    const token = await server.token("op", { "*": ["admin"] });
    const running = drain(server.url, "--token", token, "--within", "2", "--reopen-after", "3");
    await eventually(() => expect(members.map(({ log }) => log)).toEqual(members.map(() => ["reset new", "goaway"])));
    const late = new Peer(server.url, "one", await server.token("late"));
    const bye = await late.next("bye");
    expect(bye).toMatchObject({ reason: "draining" });
    expect(bye.retryAfter).toBeGreaterThan(1_000);
    const { code, output } = await running;
    expect(output).toContain(`Drained ${ROOMS.length} of ${ROOMS.length} rooms, ${members.length} connections.`);
    expect(code).toBe(0);
    const drained = ["reset new", "goaway", "lost restarting"];
    expect(members.map(({ log }) => log)).toEqual(members.map(() => drained));
    await eventually(() => expect(members.map(({ log }) => log)).toEqual(members.map(() => [...drained, "resumed"])));
  } finally {
    clearInterval(work);
  }
  await eventually(() => expect(members.map(({ settled }) => settled)).toEqual(members.map(({ said }) => said)));
  for (const [i, name] of ROOMS.entries()) {
    const inRoom = members.slice(i * PER_ROOM, (i + 1) * PER_ROOM);
    const all = inRoom.reduce((sum, { said }) => sum + said, 0);
    for (const { items } of inRoom) {
      await eventually(() => expect(items.length, name).toBe(all));
      expect(items.map(({ offset }) => offset)).toEqual(items.map((_, n) => n + 1));
    }
  }
  for (const { room } of members) room.close();
});

it("says what is wrong, and ends with 1: no token, a member's token, no such server, nonsense", async () => {
  const member = await server.token("ann");
  for (const [args, says] of [
    [[], "Usage:"],
    [[server.url], "There is no token."],
    [[server.url, "--token", member], "403 The token does not allow this."],
    [[server.url, "--token", "x.y.z"], "401"],
    [[server.url, "--token", member, "--within", "soon"], "--within is a number from 0 to 3600."],
    [["http://127.0.0.1:1", "--token", member], "fetch failed"],
  ] as const) {
    const { code, output } = await drain(...args);
    expect(output).toContain(says);
    expect(code).toBe(1);
  }
});

it("has nothing to do where no room is live", async () => {
  const token = await server.token("op", { "nowhere/*": ["admin"] });
  expect(await drain(server.url, "--token", token)).toEqual({
    code: 0,
    output: "No room is live: there is nothing to drain.\n",
  });
});
