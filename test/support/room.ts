/** What tests do to a room from outside: evict it, abort it, ring its alarm, look at its storage, move its clock. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach } from "vitest";
import type { Room } from "../../src/room.ts";
import { eventually } from "./patience.ts";
import { receiverOf, type Receiver } from "./receiver.ts";
import { clocks, reports } from "./worker.ts";

const bindings = {
  relay: env.RELAY,
  chat: env.CHAT,
  small: env.SMALL,
  fast: env.FAST,
  heartbeat: env.HEARTBEAT,
  events: env.EVENTS,
  large: env.LARGE,
} as const;
let made = 0;

// A stopped clock must not outlive its test: an alarm that rings in real time would find nothing due, again and again.
afterEach(() => clocks.clear());

/** A room that no other test has. */
export class TestedRoom {
  readonly kind: keyof typeof bindings;
  readonly name = `r${++made}-${crypto.randomUUID().slice(0, 8)}`;

  constructor(kind: keyof typeof bindings = "relay") {
    this.kind = kind;
  }

  /** `kind/name`, as in the URL. */
  get path(): string {
    return `${this.kind}/${this.name}`;
  }

  get stub(): DurableObjectStub<Room> {
    return (bindings[this.kind] as DurableObjectNamespace<Room>).getByName(this.name);
  }

  /** Out of memory, sockets hibernating. Nothing when it is out already. */
  async evict(): Promise<void> {
    await evictDurableObject(this.stub).catch((error: unknown) => {
      if (!String(error).includes("not currently running")) throw error;
    });
  }

  /** Whether the object is in memory; evicts it to find out. */
  async wasAwake(): Promise<boolean> {
    return evictDurableObject(this.stub).then(
      () => true,
      () => false,
    );
  }

  /** Killed: every socket is gone and no handler runs. */
  async abort(): Promise<void> {
    // The test runner keeps quiet about aborts that begin like its own.
    const reason = "Instance dispose: killed by a test";
    await runInDurableObject(this.stub, (_room, state) => state.abort(reason)).catch(() => undefined);
  }

  /** Runs the alarm if one is set. */
  async ring(): Promise<boolean> {
    return runDurableObjectAlarm(this.stub);
  }

  async alarm(): Promise<number | null> {
    return runInDurableObject(this.stub, (_room, state) => state.storage.getAlarm());
  }

  /** Rows of a query in the room's own storage. */
  async sql(query: string, ...values: SqlStorageValue[]): Promise<Record<string, SqlStorageValue>[]> {
    return runInDurableObject(this.stub, (_room, state) => state.storage.sql.exec(query, ...values).toArray());
  }

  /** Rows written to this storage since the object was loaded, alarms included. */
  async rowsWritten(): Promise<number> {
    const [row] = await this.sql("SELECT total_changes() AS n");
    return Number(row?.["n"]);
  }

  /** Waits until storage says that a session lost its connection; a client sees its close answered before that. */
  async dropped(session: string): Promise<void> {
    await eventually(async () => {
      const rows = await this.sql("SELECT dropped_at FROM edgerooms_sessions WHERE id = ?", session);
      if (rows[0]?.["dropped_at"] === null) throw new Error(`session ${session} is still connected`);
    });
  }

  /** Stops the room's clock at `now` (default: the present). */
  stopClock(now = Date.now()): void {
    clocks.set(this.name, now);
  }

  /** What its clock shows, in ms since the epoch. */
  get now(): number {
    return clocks.get(this.name) ?? Date.now();
  }

  startClock(): void {
    clocks.delete(this.name);
  }

  /** Moves a stopped clock and rings the alarm. */
  async pass(ms: number): Promise<void> {
    clocks.set(this.name, this.now + ms);
    await this.ring();
  }

  /** Where the events of a room of kind `events` go. */
  get receiver(): Receiver {
    return receiverOf(this.name);
  }

  get reports(): string[] {
    return reports.get(this.name) ?? [];
  }
}
