/**
 * Sequences of frames that are right, nearly right and wrong, from several members against a real room, with evictions,
 * kills and reconnections between them. Prints its seed; `npm run fuzz -- --runs 2000 --seed 7` plays more of them.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import { REMEMBERED_REFS, type Publication } from "../../src/protocol/frames.ts";
import { anyMessage, type Message, type Palette } from "../attack/frames.ts";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";

const SEED = Number(process.env["VITE_FUZZ_SEED"] || Math.floor(Math.random() * 2 ** 31));
const RUNS = Number(process.env["VITE_FUZZ_RUNS"] || 60);
/** The last one only watches: while somebody is there, the log keeps its epoch. */
const USERS = ["ann", "bob", "__proto__", "witness"] as const;
const ROOMS_AT_ONCE = 3;

/** Refs that repeat, offsets near the log's, people who are here and one who is not. */
const near: Palette = {
  refs: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 12 }) }, fc.maxSafeNat().map((n) => n + 1)),
  offsets: fc.oneof({ weight: 9, arbitrary: fc.nat(12) }, fc.maxSafeNat()),
  ids: fc.constantFrom(...USERS, "nobody"),
};

type Step =
  | { readonly do: "send"; readonly who: number; readonly message: Message }
  | { readonly do: "bytes"; readonly who: number; readonly bytes: Uint8Array }
  | { readonly do: "evict" | "abort" }
  | { readonly do: "resume"; readonly who: number; readonly offset: number };

const who = fc.nat(USERS.length - 2);
const program = fc.record({
  kind: fc.constantFrom("fast", "small"),
  credit: fc.boolean(),
  steps: fc.array(
    fc.oneof(
      { weight: 20, arbitrary: fc.record({ do: fc.constant("send" as const), who, message: anyMessage(near, 12) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("bytes" as const), who, bytes: fc.uint8Array({ maxLength: 40 }) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("evict" as const, "abort" as const) }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("resume" as const), who, offset: near.offsets }) },
    ),
    { minLength: 1, maxLength: 25, size: "max" },
  ) as fc.Arbitrary<Step[]>,
});

/** Every connection that one program opens, and what each may say of its past. */
class Play {
  readonly room: TestedRoom;
  readonly clients: Client[] = [];
  readonly #now: Client[] = [];
  readonly #credit: boolean;
  epoch = "";

  constructor(kind: "fast" | "small", credit: boolean) {
    this.room = new TestedRoom(kind);
    this.#credit = credit;
  }

  async join(i: number, more: { session?: string; epoch?: string; offset?: number } = {}): Promise<Client> {
    const { client, welcome } = await Client.join(this.room.path, { user: USERS[i] ?? "", credit: this.#credit, ...more });
    this.epoch = welcome.epoch;
    this.#now[i] = client;
    this.clients.push(client);
    return client;
  }

  async client(i: number): Promise<Client> {
    const now = this.#now[i];
    return now && !now.closed && now.of("bye").length === 0 ? now : this.join(i);
  }

  async take(step: Step): Promise<void> {
    if (step.do === "evict") return this.room.evict();
    if (step.do === "abort") {
      await this.room.abort();
      await Promise.all(this.clients.map((client) => client.until(() => client.closed !== undefined, "the end")));
      return undefined;
    }
    const client = await this.client(step.who);
    if (step.do === "send") client.socket.send(step.message.text);
    else if (step.do === "bytes") client.socket.send(step.bytes);
    else {
      const session = client.of("welcome")[0]?.session ?? "";
      await this.join(step.who, { session, epoch: this.epoch, offset: step.offset });
    }
    return undefined;
  }

  /** Waits until the room has handled everything: each connection that is left gets the answer to a call of its own. */
  async settle(): Promise<void> {
    for (const [i] of USERS.entries()) {
      const client = await this.client(i);
      client.send({ type: "call", ref: 7_777, method: "settled", data: null });
      const done = () => client.of("reply").some(({ ref }) => ref === 7_777) || client.of("bye").length > 0;
      await client.until(done, "the answer to the last call");
    }
  }
}

/** What one connection was told: no offset twice or out of order but after a sync, every `pub` begins where the last ended. */
function checkConnection(client: Client): void {
  for (const frame of client.frames) {
    if (frame.type === "error") expect(frame.code).not.toBe("internal");
    if (frame.type === "reply") expect(frame.error?.code).not.toBe("internal");
    if (frame.type === "bye") expect(["done", "too_large", "replaced", "rate_limited"]).toContain(frame.reason);
    if (frame.type !== "pub") continue;
    expect(frame.from).toBeLessThanOrEqual(frame.upto + 1);
    const offsets = frame.items.map((item) => item.offset);
    expect(offsets).toEqual([...new Set(offsets)].toSorted((a, b) => a - b));
    for (const offset of offsets) expect(offset >= frame.from && offset <= frame.upto).toBe(true);
  }
}

/** Within one session a ref has one offset, in whatever connection it is told; and one offset has one content, for all. */
function checkTruth(clients: readonly Client[]): void {
  const taken = new Map<string, number>();
  const said = new Map<number, string>();
  for (const client of clients) {
    const [welcome] = client.of("welcome");
    const user = welcome?.member ?? "";
    for (const { ref, offset } of client.of("ack")) {
      const key = `${welcome?.session} ${ref}`;
      expect(taken.get(key) ?? offset, key).toBe(offset);
      taken.set(key, offset);
    }
    for (const item of client.items) {
      const text = JSON.stringify(item);
      expect(said.get(item.offset) ?? text).toBe(text);
      said.set(item.offset, text);
      expect(item.to === undefined || item.by === user || item.to.includes(user), "only who it is for").toBe(true);
    }
  }
}

/** Every row parses, and together they are one log without a gap. */
async function checkStorage(room: TestedRoom, connections: number): Promise<void> {
  let next: number | undefined;
  for (const row of await room.sql("SELECT * FROM edgerooms_log ORDER BY first")) {
    const items = JSON.parse(`[${String(row["items"])}]`) as Publication[];
    expect(row["first"]).toBe(next ?? row["first"]);
    expect(items.map(({ offset }) => offset)).toEqual(
      Array.from({ length: Number(row["last"]) - Number(row["first"]) + 1 }, (_, i) => Number(row["first"]) + i),
    );
    next = Number(row["last"]) + 1;
    for (const list of Object.values(JSON.parse(String(row["refs"])) as Record<string, number[]>)) {
      expect(list.length % 3).toBe(0);
      expect(list.length / 3).toBeLessThanOrEqual(REMEMBERED_REFS + items.length);
    }
  }
  const sessions = await room.sql("SELECT * FROM edgerooms_sessions");
  expect(sessions.length).toBeLessThanOrEqual(connections + 10 * USERS.length);
  for (const { data } of sessions) expect(() => JSON.parse(String(data ?? "null")) as unknown).not.toThrow();
}

/** What somebody new finds: everything but the ids that are made for each. */
async function look(room: TestedRoom) {
  const { client, welcome } = await Client.join(room.path, { user: "bob" });
  const { offset, epoch, members } = welcome;
  const { data } = await client.next("snapshot");
  client.send({ type: "leave" });
  await client.next("bye");
  return JSON.stringify({ offset, epoch, members, data });
}

async function play({ kind, credit, steps }: { kind: "fast" | "small"; credit: boolean; steps: Step[] }): Promise<void> {
  const game = new Play(kind, credit);
  for (const [i] of USERS.entries()) await game.join(i);
  for (const step of steps) await game.take(step);
  await game.settle();
  for (const client of game.clients) checkConnection(client);
  checkTruth(game.clients);
  await checkStorage(game.room, game.clients.length);
  const before = await look(game.room);
  await game.room.evict();
  expect(await look(game.room), "after an eviction").toBe(before);
  expect(game.room.reports).toEqual([]);
  for (const client of game.clients) if (!client.closed) client.socket.close(1000);
}

it("no sequence of frames breaks a room, gets an internal error, or makes two truths", { timeout: 3_600_000 }, async () => {
  console.log(`fuzz: seed ${SEED}, ${RUNS} sequences`);
  const lanes = Array.from({ length: ROOMS_AT_ONCE }, async (_, lane) =>
    fc.assert(fc.asyncProperty(program, play), { seed: SEED + lane, numRuns: Math.ceil(RUNS / ROOMS_AT_ONCE) }),
  );
  await Promise.all(lanes);
});
