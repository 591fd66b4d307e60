/**
 * Where a connection of a large room is opened: in the room, or at which of its relays. Remembers for this isolate which rooms
 * are large. Knows nothing of who may connect.
 */
import {
  answerRefused,
  readMisdirected,
  sealUpgrade,
  type Admission,
  type Credentials,
  type Regions,
  type RelayAddress,
  type Spread,
} from "../../room/admission.ts";
import type { Room } from "../../room.ts";
import type { RoomAddress } from "../request.ts";
import type { Places } from "./places.ts";
import { regionOf, type Region } from "./region.ts";

/** Rooms that one isolate remembers, at most; the ones that it learned of first go first. */
const MAX_ROOMS = 1_000;
/** For how long, in ms: then the room is asked again, which may have grown, or be small again. */
const REMEMBERED_MS = 60_000;
/** Relays that are asked for one connection, at most. */
const MAX_TRIES = 8;
/** Relays of a region that a room can name. A number of another version may be anything. */
const MAX_RELAYS = 10_000;
/** Until a client may try again that no relay had a place for, in ms. */
const FULL_RETRY_MS = 1_000;

/** The room that is asked first, and where its relays are found. */
export interface Asked<Env extends object> {
  readonly env: Env;
  readonly address: RoomAddress;
  readonly stub: DurableObjectStub<Room>;
}

interface Remembered {
  readonly regions: Regions;
  readonly until: number;
}

/** The large rooms that an isolate knows of. */
export class LargeRooms<Env extends object> {
  readonly #places: Places<Env>;
  readonly #now: () => number;
  /** By `kind/room`, the oldest first. */
  readonly #known = new Map<string, Remembered>();

  constructor(places: Places<Env>, now: () => number = () => Date.now()) {
    this.#places = places;
    this.#now = now;
  }

  /**
   * Opens a connection: the answer has its socket, or is a refusal. Only a room whose kind has relays is asked more than once.
   *
   * @param cf of the client's request, which says where the client is
   * @throws what the room threw, or two relays; Misconfigured when a binding is missing
   */
  async open(asked: Asked<Env>, admission: Admission, cf: unknown): Promise<Response> {
    const { stub, address, env } = asked;
    const spread = this.#places.spreadOf(address.kind);
    if (!spread) return stub.fetch(sealUpgrade(admission));
    const region = regionOf(cf, this.#places.jurisdictionOf(address));
    // Also for a room that is small as yet: a binding that is missing must not be found out by the thousandth member.
    this.#places.requireRelays(env, spread);
    const remembered = this.#recall(address);
    if (remembered) return this.#openAtRelay(asked, admission, { spread, region, regions: remembered });
    const answer = await stub.fetch(sealUpgrade({ ...admission, spread }));
    const regions = await readMisdirected(answer);
    if (!regions) return answer;
    this.#remember(address, { regions, until: this.#now() + REMEMBERED_MS });
    return this.#openAtRelay(asked, admission, { spread, region, regions });
  }

  /**
   * A session's next token. The room says what becomes of it, or which relay is to be asked.
   *
   * @returns what they answer, which may be anything
   */
  async refresh({ stub, address, env }: Asked<Env>, session: string, credentials: Credentials): Promise<unknown> {
    const answer: unknown = await stub.refresh(session, credentials);
    const relay = this.#relayIn(answer, address);
    return relay ? this.#places.relay(env, address, relay).refresh(session, credentials) : answer;
  }

  async #openAtRelay(
    asked: Asked<Env>,
    admission: Admission,
    { spread, region, regions }: { readonly spread: Spread; readonly region: Region; readonly regions: Regions },
  ): Promise<Response> {
    const { address } = asked;
    const count = countOf(regions, region);
    let failures = 0;
    for (const index of candidates(admission.resume?.session ?? crypto.randomUUID(), count)) {
      try {
        const answer = await this.#ask(asked, admission, relayOf(address, spread, region, index));
        if (await readMisdirected(answer)) continue;
        // All the others are full. The room counts again when its connections are remembered no more.
        if (index === count && failures === 0 && answer.webSocket) this.#grow(address, region, count + 1);
        return answer;
      } catch (error) {
        if (++failures > 1) throw error;
      }
    }
    // Perhaps the room has grown since: it is asked next.
    this.#known.delete(keyOf(address));
    return answerRefused({ code: "room_full", message: "The relays of the room are full.", retryAfter: FULL_RETRY_MS });
  }

  #ask({ env, address }: Asked<Env>, admission: Admission, relay: RelayAddress): Promise<Response> {
    const { kind, room } = address;
    const each = this.#places.spreadOf(kind)?.each ?? 1;
    const via = { relay, home: { binding: this.#places.bindingOf(kind), kind, room }, each };
    return this.#places.relay(env, address, relay).fetch(sealUpgrade({ ...admission, via }));
  }

  /** The relay that a room names. What another version names must not lead to an object of somebody else's. */
  #relayIn(answer: unknown, address: RoomAddress): RelayAddress | undefined {
    const { ok, relay } = (answer ?? {}) as { readonly ok?: unknown; readonly relay?: unknown };
    if (ok !== true || typeof relay !== "object" || relay === null) return undefined;
    const { binding, name, region } = relay as Partial<Record<keyof RelayAddress, unknown>>;
    if (binding !== this.#places.spreadOf(address.kind)?.binding || typeof binding !== "string") return undefined;
    if (typeof name !== "string" || typeof region !== "string") return undefined;
    return name.startsWith(`${keyOf(address)}/${region}/`) ? { binding, name, region } : undefined;
  }

  #recall(address: RoomAddress): Regions | undefined {
    const key = keyOf(address);
    const known = this.#known.get(key);
    if (!known) return undefined;
    if (known.until > this.#now()) return known.regions;
    this.#known.delete(key);
    return undefined;
  }

  #remember(address: RoomAddress, remembered: Remembered): void {
    const key = keyOf(address);
    this.#known.delete(key);
    this.#known.set(key, remembered);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_ROOMS) break;
      this.#known.delete(oldest);
    }
  }

  #grow(address: RoomAddress, region: Region, count: number): void {
    const known = this.#known.get(keyOf(address));
    if (!known || countOf(known.regions, region) >= count) return;
    this.#known.set(keyOf(address), { ...known, regions: { ...known.regions, [region]: count } });
  }
}

/**
 * Relays of a region to ask for one connection, by number, in this order: one by the key, so that a session comes back to where
 * it was, those after it, and at last one that the room does not count yet.
 */
function candidates(key: string, count: number): number[] {
  const first = hashOf(key) % count;
  const known = Array.from({ length: Math.min(count, MAX_TRIES - 1) }, (_, i) => (first + i) % count);
  return [...known, count];
}

/** FNV-1a of a text. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** How many relays of a region take connections, as the room counts: at least one. */
function countOf(regions: Regions, region: Region): number {
  const count: unknown = Object.hasOwn(regions, region) ? regions[region] : 1;
  const isCount = typeof count === "number" && Number.isInteger(count) && count >= 1;
  return isCount ? Math.min(count, MAX_RELAYS) : 1;
}

/** A name that no room can have, and no other room's relay: in names of rooms there is no slash. */
function relayOf(address: RoomAddress, { binding }: Spread, region: Region, index: number): RelayAddress {
  return { binding, name: `${keyOf(address)}/${region}/${index}`, region };
}

function keyOf({ kind, room }: RoomAddress): string {
  return `${kind}/${room}`;
}
