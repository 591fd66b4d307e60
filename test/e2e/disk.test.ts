/**
 * The real Worker in its own workerd, with storage on a real disk that fails, is put back to an older state, or is
 * wiped; and clients of the SDK that must never be lied to.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { connect, memoryStore, type Publication, type RoomClient } from "../../src/client/client.ts";
import { Workerd } from "../serve/workerd.ts";
import { eventually } from "../support/patience.ts";

const clients: RoomClient[] = [];
const servers: Workerd[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const server of servers.splice(0)) await server.stop();
});

/** Rooms that take frames as fast as they come. */
async function serve(): Promise<Workerd> {
  const server = new Workerd({
    entry: join(import.meta.dirname, "worker.ts"),
    objects: { ROOM: "FastRoom" },
    vars: { AUTH_SECRET: "a secret for tests only, as long as it has to be", ENVIRONMENT: "development" },
    // A write past the limit is an error of the disk then, not the end of the process.
    via: ["bash", "-c", `trap "" XFSZ; exec "$@"`, "bash"],
  });
  servers.push(server);
  await server.start();
  return server;
}

/** A client and everything it was told. */
class Member {
  readonly room: RoomClient;
  readonly items: Publication[] = [];
  readonly resets: { reason: string; data: unknown; before: number }[] = [];
  readonly resumes: number[] = [];

  constructor(server: Workerd, user: string) {
    this.room = connect(server.url, {
      room: "lobby",
      token: async () => {
        const response = await fetch(`${server.url}/dev/token`, {
          method: "POST",
          body: JSON.stringify({ sub: user }),
        });
        const { token } = await response.json<{ token: string }>();
        return token;
      },
      WebSocket,
      storage: memoryStore(),
      random: () => Math.random() / 20,
    });
    clients.push(this.room);
    this.room.on("publication", (item) => this.items.push(item as Publication));
    this.room.on("reset", ({ reason, data }) => this.resets.push({ reason, data, before: this.items.length }));
    this.room.on("resumed", ({ offset }) => this.resumes.push(offset));
    this.room.on("state", ({ name }) => name === "suspended" && this.room.connect());
  }

  get data(): unknown[] {
    return this.items.map(({ data }) => data);
  }

  async open(): Promise<void> {
    await eventually(() => this.room.state.name === "open" && this.resets.length > 0);
  }
}

/** The largest file a process may write to, in bytes: past it, every write fails. */
function limitFiles(server: Workerd, bytes: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", String(server.pid), `--fsize=${bytes}:unlimited`]);
}

function largestFile(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return Math.max(...files.map((entry) => statSync(join(entry.parentPath, entry.name)).size));
}

it("a disk that fails: what was acked is there, what was not is settled after it works again, each once", async () => {
  const server = await serve();
  const [ann, bob] = [new Member(server, "ann"), new Member(server, "bob")];
  await Promise.all([ann.open(), bob.open()]);
  const acked: { data: number; offset: number }[] = [];
  let said = 0;
  const say = () => {
    const data = ++said;
    return ann.room.publish(data).then(({ offset }) => acked.push({ data, offset }));
  };
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 5; i++) await say();
    limitFiles(server, largestFile(server.storage) + 1);
    const all: Promise<unknown>[] = [];
    let settled = 0;
    // A room whose storage fails takes its connections with it. SQLite uses again what its files have, so it may take a
    // while until they must grow.
    await eventually(() => {
      all.push(ann.room.publish("x".repeat(60_000)), say());
      for (const one of all.slice(-2)) void one.then(() => settled++);
      expect(ann.room.state.name).not.toBe("open");
    });
    // Nobody is told of what cannot be kept.
    expect(settled).toBeLessThan(all.length);
    limitFiles(server, "unlimited");
    await Promise.all(all);
  }
  const expected = acked.toSorted((a, b) => a.offset - b.offset).map(({ data }) => data);
  expect(expected.toSorted((a, b) => a - b)).toEqual(Array.from({ length: said }, (_, i) => i + 1));
  for (const member of [ann, bob]) {
    await eventually(() => expect(member.data.filter((data) => typeof data === "number")).toEqual(expected));
    expect(member.items.map(({ offset }) => offset)).toEqual(member.items.map((_, i) => i + 1));
    expect(member.resets.map(({ reason }) => reason)).toEqual(["new"]);
  }
});

it("storage put back to an older state: everyone is reset to it, and nothing from before is mixed in", async () => {
  const server = await serve();
  const [ann, bob] = [new Member(server, "ann"), new Member(server, "bob")];
  await Promise.all([ann.open(), bob.open()]);
  await ann.room.publish("kept");
  const epoch = ann.room.position?.epoch;
  await server.kill();
  cpSync(server.storage, `${server.storage}-copy`, { recursive: true });
  await server.start();
  await ann.room.publish("undone");
  await eventually(() => expect(bob.data).toEqual(["kept", "undone"]));
  await server.kill();
  rmSync(server.storage, { recursive: true });
  cpSync(`${server.storage}-copy`, server.storage, { recursive: true });
  await server.start();

  // Somebody else publishes past the offset that ann and bob know.
  const eve = new Member(server, "eve");
  await eve.open();
  await eve.room.publish("other");
  await eve.room.publish("another");
  for (const member of [ann, bob]) {
    await eventually(() => expect(member.resets).toHaveLength(2));
    expect(member.resets[1]).toMatchObject({ reason: "epoch_changed" });
    await eventually(() => expect(member.room.position?.offset).toBe(3));
    const { data, before } = member.resets[1] as { data: Publication[]; before: number };
    const seen = [...data, ...member.items.slice(before)].map((item) => item.data);
    expect(seen).toEqual(["kept", "other", "another"]);
    expect(member.room.position?.epoch).not.toBe(epoch);
  }
  expect(await ann.room.publish("goes on")).toMatchObject({ offset: 4 });
  await eventually(() => expect(bob.data.at(-1)).toBe("goes on"));
});

it("storage that is wiped: everyone starts anew and is told so; who waits for an ack learns that nobody knows", async () => {
  const server = await serve();
  const ann = new Member(server, "ann");
  await ann.open();
  await ann.room.publish("gone");
  const { session, epoch } = ann.room.position ?? { session: "", epoch: "" };
  // Sent, and never answered, because the disk takes no more.
  limitFiles(server, largestFile(server.storage) + 1);
  const sent = ann.room.publish("x".repeat(60_000)).catch((error: unknown) => error);
  await eventually(() => expect(ann.room.state.name).not.toBe("open"));
  await server.kill();
  const unsent = ann.room.publish("not sent yet");
  rmSync(server.storage, { recursive: true });
  mkdirSync(server.storage);
  await server.start();
  expect(await sent).toMatchObject({ code: "outcome_unknown", retryable: false });
  expect(await unsent).toMatchObject({ offset: 1 });
  expect(ann.resets.map(({ reason }) => reason)).toEqual(["new", "session_unknown"]);
  expect(ann.room.position?.session).not.toBe(session);
  expect(ann.room.position?.epoch).not.toBe(epoch);
});

it("an ack that a crash swallowed is answered when the publish is sent again, with the offset of the first time", async () => {
  const server = await serve();
  const [ann, bob] = [new Member(server, "ann"), new Member(server, "bob")];
  await Promise.all([ann.open(), bob.open()]);
  const offsets = new Map<number, number>();
  let kills = 0;
  for (let n = 1; n <= 60; n++) {
    const settled = ann.room.publish(n).then(({ offset }) => offsets.set(n, offset));
    if (n % 10 === 0) {
      // Some of these are stored when the process dies, and none of their acks arrives.
      await server.kill();
      kills++;
      await server.start();
    }
    if (n % 5 === 0) await settled;
  }
  await eventually(() => expect(offsets.size).toBe(60));
  await eventually(() => expect(bob.data).toEqual(Array.from({ length: 60 }, (_, i) => i + 1)));
  for (const { data, offset } of bob.items) expect(offsets.get(data as number)).toBe(offset);
  expect(kills).toBe(6);
  expect(ann.resets.map(({ reason }) => reason)).toEqual(["new"]);
});
