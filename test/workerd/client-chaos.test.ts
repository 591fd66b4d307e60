/** Five clients and a network that keeps breaking: nothing is lost, doubled or out of order, and all promises settle. */
import { afterEach, expect, it } from "vitest";
import { connect, type RoomClient } from "../../src/client/client.ts";
import { sign } from "../support/client.ts";
import { everyones, type Got } from "../support/own.ts";
import { eventually } from "../support/patience.ts";
import { randomFrom } from "../support/random.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

const CLIENTS = 5;
const EACH = 500;
const CUTS = 60;
/** Publications received, by all together, before the next eviction or kill. */
const BREAK_EVERY = 1_000;
/** No client is left so far behind that the log (1,000) could forget what it misses. */
const LEAD = 500;

interface Say {
  by: number;
  n: number;
}
interface ChaosRoom {
  publication: Say;
}

class Peer {
  readonly room: RoomClient<ChaosRoom>;
  readonly items: Got[] = [];
  readonly resets: string[] = [];
  readonly sockets = new Set<WorkerSocket>();
  /** What each promise settled with, and how often. */
  readonly settled = new Map<number, { offset: number; times: number }>();
  readonly failures: string[] = [];
  resumed = 0;
  said = 0;

  constructor(path: string, i: number, random: () => number, onItem: () => void) {
    const { sockets } = this;
    class Socket extends WorkerSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.add(this);
        this.addEventListener("close", () => sockets.delete(this));
      }
    }
    this.room = connect<ChaosRoom>("http://edge.test", {
      room: path,
      token: () => sign(`user ${i}`),
      WebSocket: Socket,
      // Short waits: the log remembers a thousand.
      random: () => random() / 50,
    });
    this.room.on("publication", (item) => {
      this.items.push(item as unknown as Got);
      onItem();
    });
    this.room.on("reset", ({ reason }) => this.resets.push(reason));
    this.room.on("resumed", () => this.resumed++);
    // More cuts than any network has: a client that gives up for a minute is told that it works again.
    this.room.on("state", ({ name }) => name === "suspended" && this.room.connect());
  }

  say(by: number): void {
    const n = ++this.said;
    const settled = this.room.publish({ by, n });
    const note = ({ offset }: { offset: number }) =>
      this.settled.set(n, { offset, times: (this.settled.get(n)?.times ?? 0) + 1 });
    settled.then(note, (error: unknown) => this.failures.push(`${n}: ${String(error)}`));
  }
}

const peers: Peer[] = [];
afterEach(() => {
  for (const { room } of peers.splice(0)) room.close();
});

it("2,500 publishes, 60 cuts, evictions and kills: nothing lost, doubled, out of order or settled twice", async () => {
  const start = Date.now();
  const random = randomFrom(20_261_117);
  const total = CLIENTS * EACH;
  const tested = new TestedRoom("fast");
  let received = 0;
  let cuts = 0;
  let evictions = 0;
  let kills = 0;
  const every = Math.floor((total * CLIENTS * 0.95) / CUTS);
  const onItem = () => {
    received++;
    if (received % every === 0 && cuts < CUTS) {
      const victim = peers[Math.floor(random() * CLIENTS)];
      // Also one that is on its way back: its upgrade may then arrive after the next one.
      const [alive] = [victim, ...peers].flatMap((peer) => [...(peer?.sockets ?? [])]);
      if (alive) cuts++;
      alive?.cut();
    }
    if (received % BREAK_EVERY === 0) {
      const isKill = (received / BREAK_EVERY) % 3 === 0;
      if (isKill) kills++;
      else evictions++;
      // An eviction that a kill overtakes is given up by the runtime half a minute later.
      void (isKill ? tested.abort() : tested.evict().catch(() => undefined));
    }
    feed();
  };
  const feed = () => {
    const slowest = Math.min(...peers.map(({ items }) => items.length));
    let published = peers.reduce((sum, { said }) => sum + said, 0);
    for (const [i, peer] of peers.entries()) {
      const burst = Math.floor(random() * 20);
      for (let k = 0; k < burst && peer.said < EACH && published < slowest + LEAD; k++, published++) peer.say(i);
    }
  };
  for (let i = 0; i < CLIENTS; i++) peers.push(new Peer(tested.path, i, random, onItem));
  await eventually(() => expect(peers.map(({ room }) => room.state.name)).toEqual(Array(CLIENTS).fill("open")));
  while (!peers.some(({ said }) => said > 0)) feed();
  await eventually(
    () => {
      expect(peers.map(({ items }) => items.length)).toEqual(Array(CLIENTS).fill(total));
      expect(peers.map(({ settled }) => settled.size)).toEqual(Array(CLIENTS).fill(EACH));
    },
    { aloneMs: 6_000, everyMs: 20 },
  );

  const [first] = peers;
  const log = (first?.items ?? []).map(everyones);
  expect(log.map(({ offset }) => offset)).toEqual(Array.from({ length: total }, (_, i) => i + 1));
  for (const [i, { items, resets, failures, settled, room }] of peers.entries()) {
    expect(items.map(everyones)).toEqual(log);
    for (const { by, ref } of items) expect(ref !== undefined, `ref ${ref} of ${by} at ${i}`).toBe(by === `user ${i}`);
    expect(resets).toEqual(["new"]);
    expect(failures).toEqual([]);
    expect(room.pending).toBe(0);
    const own = log.filter(({ by }) => by === `user ${i}`);
    expect(own.map(({ data }) => data)).toEqual(Array.from({ length: EACH }, (_, k) => ({ by: i, n: k + 1 })));
    for (const item of own) {
      expect(settled.get((item.data as unknown as Say).n)).toEqual({ offset: item.offset, times: 1 });
    }
  }
  expect(cuts).toBe(CUTS);
  expect(tested.reports).toEqual([]);
  // Several cuts may meet a client before it is back: they are one resume.
  const resumes = peers.reduce((sum, { resumed }) => sum + resumed, 0);
  expect(resumes).toBeGreaterThanOrEqual(CLIENTS);
  console.log(
    `chaos: ${total} publishes by ${CLIENTS} clients in ${Date.now() - start} ms; ` +
      `${cuts} cuts, ${evictions} evictions, ${kills} kills, ${resumes} resumes`,
  );
});
