/**
 * Sequences of frames that are right, nearly right and wrong, from several members against a real room, with evictions,
 * kills and reconnections between them: always the same few. `npm run fuzz -- --runs 2000 --seed 7` plays others.
 */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import type { ClientFrame, Publication } from "../../src/protocol/frames.ts";
import { REMEMBERED_REFS } from "../../src/protocol/limits.ts";
import { anyMessage, type Message, type Palette } from "../attack/frames.ts";
import { Client } from "../support/client.ts";
import { patience } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

/** What only we can be to blame for. */
const OURS: unknown[] = ["internal", "hook_failed", "storage_failed"];

const SEED = Number(process.env["VITE_FUZZ_SEED"] || 20_261_127);
const RUNS = Number(process.env["VITE_FUZZ_RUNS"] || 40);
/** The last one only watches: while somebody is there, the log keeps its epoch. */
const USERS = ["ann", "bob", "__proto__", "witness"] as const;
const ROOMS_AT_ONCE = 3;

/** Refs that repeat and are mostly too low by then, offsets near the log's, people who are here and one who is not. */
const near: Palette = {
  refs: fc.oneof(
    { weight: 200, arbitrary: fc.integer({ min: 1, max: 12 }) },
    fc.maxSafeNat().map((n) => n + 1),
  ),
  offsets: fc.oneof({ weight: 9, arbitrary: fc.nat(12) }, fc.maxSafeNat()),
  ids: fc.constantFrom(...USERS, "nobody"),
};

type Step =
  /** What honest members do: new refs, and offsets a few behind the head, or ahead of it (`back`). */
  | {
      readonly do: "talk";
      readonly who: number;
      readonly count: number;
      readonly back: number | null;
      readonly presence: boolean;
    }
  | { readonly do: "send"; readonly who: number; readonly message: Message }
  | { readonly do: "bytes"; readonly who: number; readonly bytes: Uint8Array }
  | { readonly do: "evict" }
  | { readonly do: "abort" }
  | { readonly do: "tab"; readonly who: number }
  | { readonly do: "resume"; readonly who: number; readonly back: number };

const who = fc.nat(USERS.length - 2);
const back = fc.integer({ min: -3, max: 9 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant("send" as const), who, message: anyMessage(near, 12) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("talk" as const),
      who,
      count: fc.integer({ min: 1, max: 6 }),
      back: fc.option(back),
      presence: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("bytes" as const), who, bytes: fc.uint8Array({ maxLength: 40 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("evict" as const, "abort" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("tab" as const), who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("resume" as const), who, back }) },
);
const program = fc.record({
  kind: fc.constantFrom("fast" as const, "small" as const),
  credit: fc.boolean(),
  steps: fc.array(anyStep, { minLength: 1, maxLength: 25, size: "max" }),
});

/** One connection, where it asked to begin, and where its syncs asked to begin again. */
interface Line {
  readonly client: Client;
  readonly offset: number | undefined;
  readonly syncs: number[];
}

/** Every connection that one program opens, and what each may say of its past. */
class Play {
  readonly room: TestedRoom;
  readonly lines: Line[] = [];
  readonly #now: Client[] = [];
  readonly #credit: boolean;
  epoch = "";
  /** Far above the refs of the nonsense, below the few that are huge. */
  #ref = 1_000;

  constructor(kind: "fast" | "small", credit: boolean) {
    this.room = new TestedRoom(kind);
    this.#credit = credit;
  }

  async join(i: number, more: { session?: string; epoch?: string; offset?: number } = {}): Promise<Client> {
    const { client, welcome } = await Client.join(this.room.path, {
      user: USERS[i] ?? "",
      credit: this.#credit,
      ...more,
    });
    this.epoch = welcome.epoch;
    this.#now[i] = client;
    this.lines.push({ client, offset: welcome.resumed ? more.offset : undefined, syncs: [] });
    return client;
  }

  get clients(): Client[] {
    return this.lines.map(({ client }) => client);
  }

  /** The newest offset that anyone was told of. */
  get head(): number {
    return Math.max(0, ...this.clients.flatMap((client) => client.of("pub").map(({ upto }) => upto)));
  }

  async client(i: number): Promise<Client> {
    const now = this.#now[i];
    return now && !now.closed && now.of("bye").length === 0 ? now : this.join(i);
  }

  async take(step: Step): Promise<void> {
    if (step.do === "evict") return this.room.evict();
    if (step.do === "abort") {
      await this.room.abort();
      await Promise.all(this.clients.map(async (client) => client.until(() => client.closed !== undefined, "the end")));
      return undefined;
    }
    if (step.do === "tab") {
      await this.join(step.who);
      return undefined;
    }
    const client = await this.client(step.who);
    if (step.do === "bytes") client.socket.send(step.bytes);
    else if (step.do === "send") this.#send(client, step.message.text);
    else if (step.do === "talk") this.#talk(client, step);
    else {
      const session = client.of("welcome")[0]?.session ?? "";
      await this.join(step.who, { session, epoch: this.epoch, offset: Math.max(0, this.head - step.back) });
    }
    return undefined;
  }

  #talk(client: Client, { count, back: behind, presence }: Extract<Step, { do: "talk" }>): void {
    const frames: ClientFrame[] = Array.from({ length: count }, () => ({
      type: "publish",
      ref: ++this.#ref,
      data: this.#ref,
    }));
    if (presence) frames.push({ type: "presence", data: this.#ref });
    if (behind !== null) frames.splice(1, 0, { type: "sync", offset: Math.max(0, this.head - behind) });
    this.#send(client, JSON.stringify(frames));
  }

  #send(client: Client, text: string): void {
    client.socket.send(text);
    const syncs = this.lines.find((line) => line.client === client)?.syncs;
    for (const frame of decode(text, 65_536)) if (frame.type === "sync") syncs?.push(frame.offset);
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

/**
 * What one connection was told: every `pub` begins where the last ended, or where a sync asked for, each once; what it
 * covers is all there, but for what others were told alone.
 */
function checkConnection({ client, offset, syncs }: Line, said: ReadonlyMap<number, Publication>): void {
  const [welcome] = client.of("welcome");
  if (welcome?.resumed) expect(offset, "where it resumed").toBeLessThanOrEqual(welcome.offset);
  const asked = [...syncs];
  let at = offset;
  for (const frame of client.frames) {
    if (frame.type === "error") expect(OURS).not.toContain(frame.code);
    if (frame.type === "reply") expect(OURS).not.toContain(frame.error?.code);
    if (frame.type === "bye") expect(["done", "too_large", "replaced", "rate_limited"]).toContain(frame.reason);
    if (frame.type === "snapshot") at = frame.offset;
    if (frame.type !== "pub") continue;
    if (frame.from !== (at ?? 0) + 1) {
      const i = asked.indexOf(frame.from - 1);
      expect(i, `a pub from ${frame.from} after ${at}, syncs ${syncs.join()}`).toBeGreaterThanOrEqual(0);
      asked.splice(i, 1);
    }
    at = frame.upto;
    const visible = [...said.values()]
      .filter((item) => item.offset >= frame.from && item.offset <= frame.upto)
      .filter(({ by, to }) => to === undefined || by === welcome?.member || to.includes(welcome?.member ?? ""))
      .map((item) => item.offset);
    expect(frame.items.map((item) => item.offset)).toEqual(visible.toSorted((a, b) => a - b));
  }
}

/**
 * Within one session a ref has one offset, in whatever connection it is told; and one offset has one content, for all.
 * Returns everything that anyone saw.
 */
function truth(clients: readonly Client[]): ReadonlyMap<number, Publication> {
  const taken = new Map<string, number>();
  const said = new Map<number, Publication>();
  for (const client of clients) {
    const session = client.of("welcome")[0]?.session;
    for (const { ref, offset } of client.of("ack")) {
      const key = `${session} ${ref}`;
      expect(taken.get(key) ?? offset, key).toBe(offset);
      taken.set(key, offset);
    }
    for (const item of client.items) {
      expect(JSON.stringify(said.get(item.offset) ?? item)).toBe(JSON.stringify(item));
      said.set(item.offset, item);
    }
  }
  return said;
}

/** Every row parses, and together they are one log without a gap. */
async function checkStorage(room: TestedRoom, connections: number): Promise<void> {
  let next: number | undefined;
  for (const row of await room.sql("SELECT * FROM edgerooms_log ORDER BY first")) {
    const items = JSON.parse(`[${row["items"] as string}]`) as Publication[];
    expect(row["first"]).toBe(next ?? row["first"]);
    expect(items.map(({ offset }) => offset)).toEqual(
      Array.from({ length: Number(row["last"]) - Number(row["first"]) + 1 }, (_, i) => Number(row["first"]) + i),
    );
    next = Number(row["last"]) + 1;
    for (const list of Object.values(JSON.parse(row["refs"] as string) as Record<string, number[]>)) {
      expect(list.length % 3).toBe(0);
      expect(list.length / 3).toBeLessThanOrEqual(REMEMBERED_REFS + items.length);
    }
  }
  const sessions = await room.sql("SELECT * FROM edgerooms_sessions");
  expect(sessions.length).toBeLessThanOrEqual(connections + 10 * USERS.length);
  for (const { data } of sessions) expect(() => JSON.parse((data ?? "null") as string) as unknown).not.toThrow();
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

async function play({
  kind,
  credit,
  steps,
}: {
  kind: "fast" | "small";
  credit: boolean;
  steps: Step[];
}): Promise<void> {
  const game = new Play(kind, credit);
  for (const [i] of USERS.entries()) await game.join(i);
  for (const step of steps) await game.take(step);
  await game.settle();
  const said = truth(game.clients);
  for (const line of game.lines) checkConnection(line, said);
  await checkStorage(game.room, game.clients.length);
  const before = await look(game.room);
  await game.room.evict();
  expect(await look(game.room), "after an eviction").toBe(before);
  expect(game.room.reports).toEqual([]);
  for (const client of game.clients) if (!client.closed) client.socket.close(1000);
}

it(
  "no sequence of frames breaks a room, gets an internal error, or makes two truths",
  { timeout: patience(5_000 + 200 * RUNS) },
  async () => {
    console.log(`fuzz: seed ${SEED}, ${RUNS} sequences`);
    const lanes = Array.from({ length: ROOMS_AT_ONCE }, async (_, lane) =>
      fc.assert(fc.asyncProperty(program, play), { seed: SEED + lane, numRuns: Math.ceil(RUNS / ROOMS_AT_ONCE) }),
    );
    await Promise.all(lanes);
  },
);
