/** The thread with all relays of a room and their members. What it costs is not the room's. */
import { parentPort } from "node:worker_threads";
import type { Mirrored } from "../../src/room/relaying.ts";
import type { RelayHost } from "../../src/room/runtime/relay-host.ts";
import { Calls } from "./calls.ts";
import { joinRelay, makeRelay, nameOf } from "./objects.ts";
import { Place, realClock } from "./place.ts";

/** How many relays there are, and members of all of them together. */
export interface Layout {
  readonly relays: number;
  readonly members: number;
}

/** Those who join one relay at once. */
const AT_ONCE = 100;

if (!parentPort) throw new Error("this is no thread");
const relays = new Map<string, { readonly relay: RelayHost; readonly place: Place }>();

const calls = new Calls(parentPort, async (name, value) => {
  switch (name) {
    case "fill":
      return fill(value as Layout);
    case "push": {
      const { to, mirrored } = value as { readonly to: string; readonly mirrored: Mirrored };
      const called = relays.get(to);
      if (!called) throw new Error(`there is no relay ${to}`);
      return called.relay.push(mirrored);
    }
    case "delivered":
      return [...relays.values()].flatMap(({ place }) => place.seats.map(({ publications }) => publications));
    default:
      throw new Error(`there is no ${name}`);
  }
});

async function fill({ relays: count, members }: Layout): Promise<void> {
  for (let nth = 0; nth < count; nth++) {
    const place = new Place(nameOf(nth), realClock, false);
    const relay = await makeRelay(place, (up) => calls.call("exchange", up));
    relays.set(place.name, { relay, place });
    const mine = Math.floor(members / count) + (nth < members % count ? 1 : 0);
    for (let i = 0; i < mine; i += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, mine - i) }, (_, j) => `u${nth}-${i + j}`);
      await Promise.all(some.map((user) => joinRelay(relay, place, user)));
    }
  }
}
