/**
 * What leaves a room for the members of one region: when they are its own, and when they are at a relay. Counted with the real
 * room and the real relay, in time that is moved: nothing of it depends on the machine.
 */
import { serialize } from "node:v8";
import type { RelayHost } from "../../src/room/runtime/relay-host.ts";
import { joinRelay, joinRoom, makeRelay, makeRoom, nameOf } from "./objects.ts";
import { MovedClock, Place } from "./place.ts";

/** Bytes of the data of each publication, how many there are, and how far apart, in ms. */
export const STREAM = { bytes: 200, publications: 100, every: 1_000 } as const;

/** Bytes that left a room. */
export interface Left {
  /** While everybody joined. */
  readonly joins: number;
  /** From then on. */
  readonly stream: number;
}

/** A region of so many members. */
export interface Region {
  readonly members: number;
  readonly direct: Left;
  readonly relayed: Left;
}

/** Counts one region both ways. */
export async function countRegion(members: number): Promise<Region> {
  return { members, direct: await countWay(members, false), relayed: await countWay(members, true) };
}

async function countWay(members: number, isRelayed: boolean): Promise<Left> {
  const clock = new MovedClock();
  const place = new Place("one", clock, true);
  let relay: RelayHost | undefined;
  let calls = 0;
  // What V8 writes of an argument or an answer is what travels by RPC.
  const sized = <T>(value: T): T => {
    calls += serialize(value).length;
    return value;
  };
  const host = await makeRoom(place, () => ({
    push(mirrored) {
      if (!relay) throw new Error("there is no relay");
      return relay.push(structuredClone(sized(mirrored)));
    },
  }));
  // The publisher is of another region: what it gets is not counted.
  const publisher = await clock.until(joinRoom(host, place, "publisher"));
  const away = new Place(nameOf(0), clock, false);
  if (isRelayed) relay = await makeRelay(away, async (up) => sized(await host.exchange(structuredClone(up))));
  for (let i = 0; i < members; i++) {
    if (relay) await clock.until(joinRelay(relay, away, `u${i}`));
    else await clock.until(joinRoom(host, place, `u${i}`));
  }
  await clock.pass(STREAM.every);
  const left = () => calls + place.bytes - publisher.bytes;
  const joins = left();
  for (let n = 1; n <= STREAM.publications; n++) {
    await clock.until(host.message(publisher, publish(n)));
    await clock.pass(STREAM.every);
  }
  const readers = isRelayed ? away.seats : place.seats;
  const incomplete = readers.find(({ publications }) => publications !== STREAM.publications);
  if (incomplete) throw new Error(`a member has ${incomplete.publications} of ${STREAM.publications} publications`);
  return { joins, stream: left() - joins };
}

function publish(ref: number): string {
  const head = '{"type":"publish","ref":' + String(ref) + ',"data":';
  return `${head}${JSON.stringify("x".repeat(STREAM.bytes - 2))}}`;
}
