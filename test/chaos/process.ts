/** One process full of clients: does what the main process orders, tells how its clients are, and ends with it. */
import { randomFrom } from "../support/random.ts";
import type { Order, Plan, Report, Status } from "./orders.ts";
import { clock, Recorder } from "./record.ts";
import { Poster } from "./poster.ts";
import { RawClient } from "./raw-client.ts";
import { SdkClient } from "./sdk-client.ts";

const STATUS_EVERY = 250;

const clients = new Map<string, RawClient | SdkClient>();
const posters = new Map<string, Poster>();
let recorder: Recorder | undefined;
let secret = "";
let guarded: number | undefined;
let copies = 0;
const guests = new Set<RawClient>();

process.on("disconnect", () => {
  // The main process is gone without a word: nobody else ends what it started.
  try {
    if (guarded !== undefined) process.kill(guarded, "SIGKILL");
  } catch {
    // It is gone, too.
  }
  process.exit(1);
});
// The terminal's Ctrl-C reaches everyone; the main process decides.
process.on("SIGINT", () => undefined);
process.on("message", (order: Order) => obey(order));

function obey(order: Order): void {
  switch (order.order) {
    case "begin":
      ({ secret } = order);
      clock.share(order.base);
      recorder = new Recorder(order.record);
      for (const plan of order.plans) {
        begin(plan);
        posters.set(plan.name, new Poster(plan, secret, recorder, randomFrom(plan.seed + 1)));
      }
      setInterval(() => tell({ report: "status", clients: statuses() }), STATUS_EVERY);
      setInterval(() => recorder?.flush(), 1_000);
      break;
    case "guard":
      guarded = order.pid;
      break;
    case "jump":
      sdk(order.client)?.jump(order.by);
      break;
    case "duplicate":
      duplicate(order.client, order.ms);
      break;
    case "steal":
      steal(order.client);
      break;
    case "guest":
      invite(order.client, order.ms);
      break;
    case "leave":
      raw(order.client)?.leave();
      break;
    case "deaf":
      raw(order.client)?.deaf(order.ms);
      break;
    case "burst":
      for (let i = 0; i < order.count; i++) clients.get(order.client)?.say(order.length);
      break;
    case "settle":
      for (const guest of guests) guest.vanish();
      for (const poster of posters.values()) poster.hush();
      for (const each of clients.values()) {
        each.talk.hush();
        each.tokens.last();
        each.wake();
      }
      break;
    case "end":
      for (const each of [...clients.values(), ...posters.values()]) each.end();
      recorder?.flush();
      tell({ report: "ended" });
      break;
  }
}

/** How the clients are; one waits for what it published over HTTP, too. */
function statuses(): Status[] {
  return [...clients.values()].map((each) => {
    const status = each.status();
    return { ...status, pending: status.pending + (posters.get(status.client)?.pending ?? 0) };
  });
}

function begin(plan: Plan, store?: ReadonlyMap<string, string>): void {
  if (!recorder) return;
  const random = randomFrom(plan.seed);
  const client =
    plan.sort === "sdk"
      ? new SdkClient(plan, secret, recorder, random, store)
      : new RawClient(plan, secret, recorder, random);
  clients.set(plan.name, client);
  client.talk.begin(() => client.say());
}

/** A copy of a tab, with its storage. It is closed later, now and then by logging out. */
function duplicate(name: string, ms: number): void {
  const original = sdk(name);
  if (!original) return;
  const copy = `${name}copy${++copies}`;
  begin({ ...original.plan, name: copy, seed: original.plan.seed + copies }, original.copy());
  setTimeout(() => {
    sdk(copy)?.close(copies % 2 === 0);
    clients.delete(copy);
  }, ms);
}

/** Nobody waits for a guest, and it is gone at the end: then the room must know that. */
function invite(host: string, ms: number): void {
  const plan = clients.get(host)?.plan;
  if (!plan || !recorder) return;
  const name = `guest${++copies}of${host}`;
  const random = randomFrom(plan.seed + copies);
  const guest = new RawClient(
    { ...plan, name, user: name, sort: "raw", sloppy: false },
    secret,
    recorder,
    random,
    true,
  );
  guests.add(guest);
  guest.talk.begin(() => guest.say());
  setTimeout(() => guest.vanish(), ms);
}

/** Any other user's session of the same room will do. */
function steal(name: string): void {
  const thief = raw(name);
  if (!thief) return;
  for (const each of clients.values()) {
    const { user, room } = each.plan;
    const session = each instanceof RawClient ? each.session : undefined;
    if (room !== thief.plan.room || user === thief.plan.user || session === undefined) continue;
    void thief.steal(session);
    return;
  }
}

function sdk(name: string): SdkClient | undefined {
  const client = clients.get(name);
  return client instanceof SdkClient ? client : undefined;
}

function raw(name: string): RawClient | undefined {
  const client = clients.get(name);
  return client instanceof RawClient ? client : undefined;
}

function tell(report: Report): void {
  process.send?.(report);
}

tell({ report: "ready" });
