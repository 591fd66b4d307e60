/**
 * Members that stop reading while much is published past them: what the server holds for them, measured as the memory
 * of its process against a run without them, and what they get when they read again.
 */
import { setTimeout as pause } from "node:timers/promises";
import { item, type Member } from "./member.ts";
import type { Seen } from "./rhythms.ts";
import { World } from "./world.ts";

const ROOM = "log/stalled";
/** Publications on their way to an ack: in bytes and in number. */
const UNANSWERED_BYTES = 1_048_576;
const UNANSWERED = 200;
const SAMPLE = 25;
/** What the one who stops late misses: less than the log keeps. */
const LATE_BYTES = 8 * 1_048_576;

/** How much is published, and how large an item is. */
export interface Load {
  readonly bytes: number;
  readonly size: number;
}

/** A way of not reading. */
export type Kind = (typeof kinds)[number];
const kinds = ["credit", "credit, late", "plain", "plain, late"] as const;

/** What became of one of them. */
export interface Woken {
  readonly kind: Kind;
  /** How it ended: caught up from the log, or which reset. */
  readonly outcome: string;
  /** What it had read when it stopped, and read of its own old connection when it woke. */
  readonly stoppedAt: number;
  readonly wokeAt: number;
  readonly honest: boolean;
}

export interface Run {
  readonly seconds: number;
  /** Memory of workerd in bytes, before the first publication and after the last. */
  readonly baseline: number;
  readonly end: number;
  /** All the while: as it was found, garbage included, and what was left when that was collected. */
  readonly found: readonly number[];
  readonly held: readonly number[];
  /** The most that the runtime held for any one socket. */
  readonly buffered: number;
  /** The most offsets that any reader with credit was fed ahead of what it acknowledged. */
  readonly unacked: number;
  readonly readers: readonly Woken[];
  /** What was wrong with what anybody read. */
  readonly wrong: readonly string[];
  readonly last: number;
}

/** Publishes all of `load` past one reader of each kind. In the control they read like everyone. */
export async function publishPast(load: Load, control: boolean): Promise<Run> {
  const world = await World.open();
  try {
    return await measure(world, load, control);
  } finally {
    await world.close();
  }
}

async function measure(world: World, { bytes, size }: Load, control: boolean): Promise<Run> {
  const publisher = await world.join(ROOM, "publisher");
  const honest = await world.join(ROOM, "honest", { credit: true });
  const readers: Member[] = [];
  for (const kind of kinds) readers.push(await world.join(ROOM, kind.replaceAll(/\W+/g, "-"), creditOf(kind)));
  const publish = publishing(publisher, size);
  // What any run needs: code that was compiled, a log that has its first rows.
  await publish(20);
  await Promise.all([honest, ...readers].map((member) => member.until(() => member.offset === 20, "warm-up")));

  const last = 20 + Math.ceil(bytes / size);
  const late = Math.max(20, last - Math.ceil(Math.min(LATE_BYTES, bytes / 2) / size));
  const collect = await world.collector();
  await collect();
  const baseline = world.memory();
  const samples = new Samples(world, collect);
  const began = performance.now();
  const stopped = new Map<Kind, number>();
  const stop = (which: (kind: Kind) => boolean) => {
    for (const [i, kind] of kinds.entries()) {
      const reader = readers[i];
      if (control || !reader || !which(kind)) continue;
      stopped.set(kind, reader.offset);
      silence(reader, kind);
    }
  };
  stop((kind) => !kind.endsWith("late"));
  await publish(late);
  stop((kind) => kind.endsWith("late"));
  await publish(last);
  await honest.until(() => honest.offset === last, "everything");
  const seconds = (performance.now() - began) / 1_000;
  const { found, held, buffered, unacked } = await samples.stop();
  await collect();
  const end = world.memory();

  const woken: Woken[] = [];
  for (const [i, kind] of kinds.entries()) {
    const reader = readers[i];
    if (reader) woken.push(await wake(world, reader, kind, stopped.get(kind) ?? 0, last));
  }
  const all = last + 20;
  await publish(all);
  await honest.until(() => honest.offset === all, "what came after");
  const wrong = [publisher, honest].flatMap((member) => member.wrong.map((what) => `${member.user}: ${what}`));
  if (honest.items !== all || honest.resets.length > 0) wrong.push(`the honest reader has ${honest.items} of ${all}`);
  return { seconds, baseline, end, found, held, buffered, unacked, readers: woken, wrong, last };
}

function creditOf(kind: Kind): { credit: boolean } {
  return { credit: kind.startsWith("credit") };
}

/** With credit the network is what stops; without, the program does not read what its kernel has. */
function silence(reader: Member, kind: Kind): void {
  if (creditOf(kind).credit && reader.link) reader.link.stalled = true;
  else reader.socket.pause();
}

/** The reader reads again, and comes back if it was closed, until it has everything there is or a snapshot of it. */
async function wake(world: World, reader: Member, kind: Kind, stoppedAt: number, last: number): Promise<Woken> {
  if (reader.link) reader.link.stalled = false;
  reader.socket.resume();
  await reader.until(() => reader.offset === last || reader.bye !== undefined || reader.closed, "the rest, or a bye");
  const wokeAt = reader.offset;
  let now = reader;
  if (reader.bye !== undefined || reader.closed) {
    now = await world.join(ROOM, reader.user, { resume: reader.position, ...creditOf(kind) });
    await now.until(() => now.offset === last, "the rest");
  }
  const [reset] = [...reader.resets, ...now.resets];
  const how = reset ? `reset \`${reset.reason}\` at ${reset.from.toLocaleString("en")}` : "caught up from the log";
  const outcome = now === reader ? how : `closed \`${reader.bye ?? "without a bye"}\`, ${how}`;
  // Without a reset it has read every item once; after one, everything but what the snapshot stands for.
  const read = now === reader ? reader.items : reader.items + now.items;
  const skipped = reset ? reset.to - reset.from : 0;
  const wrong = [...reader.wrong, ...(now === reader ? [] : now.wrong)];
  const told = now === reader || now.welcome?.resumed === (reset === undefined);
  const honest = wrong.length === 0 && told && read + skipped === last;
  return { kind, outcome, stoppedAt, wokeAt, honest };
}

/** A publisher that waits for acks when enough is on its way; returns when everything up to a number is stored. */
function publishing(publisher: Member, size: number): (upto: number) => Promise<void> {
  const batch = Math.max(1, Math.min(50, Math.floor(50_000 / size)));
  const most = Math.max(batch, Math.min(UNANSWERED, Math.floor(UNANSWERED_BYTES / size)));
  let sent = 0;
  return async (upto) => {
    while (sent < upto) {
      const frames = Array.from({ length: Math.min(batch, upto - sent) }, (_, i) => {
        const ref = sent + i + 1;
        return { type: "publish", ref, data: item(ref, size) } as const;
      });
      publisher.send(...frames);
      sent += frames.length;
      await publisher.until(() => sent - publisher.acked <= most - batch, "acks");
    }
    await publisher.until(() => publisher.acked === upto, "the last ack");
  };
}

/** Memory and buffers, looked at all the while. */
class Samples {
  readonly #done: Promise<void>;
  readonly #found: number[] = [];
  readonly #held: number[] = [];
  #running = true;
  #buffered = 0;
  #unacked = 0;

  constructor(world: World, collect: () => Promise<void>) {
    this.#done = this.#watch(world, collect);
    // `stop` tells of it. A run that failed ends the server first, and its own error is the one to be seen.
    this.#done.catch(() => undefined);
  }

  async stop(): Promise<Pick<Run, "found" | "held" | "buffered" | "unacked">> {
    this.#running = false;
    await this.#done;
    return { found: this.#found, held: this.#held, buffered: this.#buffered, unacked: this.#unacked };
  }

  async #watch(world: World, collect: () => Promise<void>): Promise<void> {
    while (this.#running) {
      this.#found.push(world.memory());
      await collect();
      this.#held.push(world.memory());
      const { sockets }: Seen = await world.look(ROOM);
      this.#buffered = Math.max(this.#buffered, ...sockets.map(({ buffered }) => buffered));
      this.#unacked = Math.max(this.#unacked, ...sockets.map(({ unacked }) => unacked));
      await pause(SAMPLE);
    }
  }
}
