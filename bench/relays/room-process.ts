/**
 * One room in a process of its own, its relays in another thread: what the room's thread uses is the room's own. Arguments:
 * relays, members, publications, publications before those, which compile the code, and ms from one to the next. Sends what it
 * measured to the process that started it.
 */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { RoomHost } from "../../src/room/runtime/host.ts";
import type { Up } from "../../src/room/relaying.ts";
import { Calls } from "./calls.ts";
import { joinRoom, makeRoom } from "./objects.ts";
import { Place, realClock, type Seat } from "./place.ts";
import type { Layout } from "./relay-thread.ts";

/** What one publication costs the room. */
export interface RoomCost {
  /** CPU of the room's thread, in ms. */
  readonly cpu: number;
  /** Calls of relays. */
  readonly pushes: number;
  /** Sends to sockets of the room's own. */
  readonly sends: number;
}

/** A pause after each, in ms, at least: a room that is not busy has no tick of its own to wait for. */
const PAUSE_MS = 12;
const SETTLE_MS = 300;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A room with its relays. */
class Measured {
  readonly #layout: Layout;
  /** From one publication to the next, in ms: how long a processor rested is part of what work costs it. */
  readonly #every: number;
  readonly #place = new Place("one", realClock, false);
  readonly #calls: Calls;
  #host: RoomHost | undefined;
  #pushes = 0;
  #published = 0;

  constructor(layout: Layout, every: number) {
    this.#layout = layout;
    this.#every = every;
    const thread = new Worker(join(import.meta.dirname, "relay-thread.ts"));
    this.#calls = new Calls(thread, (_name, up) => this.#room.exchange(up as Up));
  }

  get #room(): RoomHost {
    if (!this.#host) throw new Error("the room has not begun");
    return this.#host;
  }

  async run(publications: number, warm: number): Promise<RoomCost> {
    const { relays, members } = this.#layout;
    this.#host = await makeRoom(this.#place, ({ name }) => ({
      push: (mirrored) => {
        this.#pushes++;
        return this.#calls.call("push", { to: name, mirrored });
      },
    }));
    const publisher = await joinRoom(this.#host, this.#place, "publisher");
    if (relays > 0) await this.#calls.call("fill", this.#layout);
    else for (let i = 0; i < members; i++) await joinRoom(this.#host, this.#place, `u${i}`);
    await this.#publish(publisher, warm);
    const before = { cpu: process.threadCpuUsage(), pushes: this.#pushes };
    await this.#publish(publisher, publications);
    const { user, system } = process.threadCpuUsage(before.cpu);
    await this.#prove();
    return {
      cpu: (user + system) / 1_000 / publications,
      pushes: (this.#pushes - before.pushes) / publications,
      sends: this.#place.seats.length,
    };
  }

  /** One after another: the next one when every relay has the last. */
  async #publish(publisher: Seat, count: number): Promise<void> {
    await sleep(SETTLE_MS);
    let due = performance.now();
    for (let i = 0; i < count; i++) {
      const ref = ++this.#published;
      await this.#room.message(publisher, `{"type":"publish","ref":${ref},"data":"${"x".repeat(98)}"}`);
      if (this.#calls.pending > 0) {
        await new Promise<void>((resolve) => {
          this.#calls.onPending = (pending) => pending === 0 && resolve();
        });
      }
      due = Math.max(due + this.#every, performance.now() + PAUSE_MS);
      await sleep(due - performance.now());
    }
  }

  /** Everybody has everything. A seat has checked the order. */
  async #prove(): Promise<void> {
    const far = this.#layout.relays > 0 ? await this.#calls.call<number[]>("delivered", undefined) : [];
    const all = [...far, ...this.#place.seats.map(({ publications }) => publications)];
    const { members } = this.#layout;
    if (all.length !== members + 1) throw new Error(`${all.length} sockets instead of ${members + 1}`);
    const wrong = all.find((publications) => publications !== this.#published);
    if (wrong !== undefined) throw new Error(`a member has ${wrong} of ${this.#published} publications`);
  }
}

const [relays = 0, members = 0, publications = 0, warm = 0, every = 0] = process.argv.slice(2).map(Number);
process.send?.(await new Measured({ relays, members }, every).run(publications, warm));
process.exit();
