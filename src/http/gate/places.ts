/**
 * Where rooms are: the kinds of an app, and the Durable Object of a room of each, in the jurisdiction and near the place that
 * its kind asks for, and those of its relays. The only file that makes their stubs. Says what is wrong with a kind; knows nothing of requests.
 */
import { confinedTo, JURISDICTIONS, type Jurisdiction } from "../../ops/jurisdiction.ts";
import { Misconfigured } from "../../ops/settings.ts";
import type { Relay } from "../../relay.ts";
import type { RelayAddress, Spread } from "../../room/admission.ts";
import type { Room } from "../../room.ts";
import type { RoomAddress } from "../request.ts";
import { HookFailed } from "../thrown.ts";

/** Where the platform can be asked to make an object; it may make it elsewhere. From its documentation of data location. */
export const LOCATION_HINTS = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;

export type LocationHint = (typeof LOCATION_HINTS)[number];

/** Connections of a room past which new ones go to relays, by default. */
const FROM = 1_000;
/** Connections of one relay, by default, and at most: the platform's limit of one object is 32,768. */
const EACH = 2_000;
const MAX_EACH = 32_000;

/** The names of an environment's bindings of rooms. */
export type RoomBinding<Env extends object> = {
  [Name in keyof Env & string]: Env[Name] extends DurableObjectNamespace<infer Object>
    ? Object extends Room | undefined
      ? Name
      : never
    : never;
}[keyof Env & string];

/** The names of an environment's bindings of relays. */
export type RelayBinding<Env extends object> = {
  [Name in keyof Env & string]: Env[Name] extends DurableObjectNamespace<infer Object>
    ? Object extends Relay | undefined
      ? Name
      : never
    : never;
}[keyof Env & string];

/** Relays of a kind: what a room's connections are spread over when they are too many for one object. */
export interface Relays<Env extends object> {
  /** Their Durable Object binding: of the class `Relay`, and of this kind only. */
  binding: RelayBinding<Env>;
  /** Connections of a room past which new ones go to relays. An integer from 1 on. Default: 1,000. */
  from?: number | undefined;
  /** Connections of one relay, at most. An integer from 1 to 32,000. Default: 2,000. */
  each?: number | undefined;
}

/** A kind of rooms whose place matters. */
export interface Kind<Env extends object> {
  /** The Durable Object binding. */
  room: RoomBinding<Env>;
  /**
   * Where the rooms must stay, with all that they store. It is part of which room a name means: when it changes, every name
   * means a new, empty room. Default: anywhere.
   */
  jurisdiction?: Jurisdiction | SomeJurisdictions | undefined;
  /**
   * Where a room should be made, if it does not exist yet; best effort. Default: near the member that comes first. A
   * function gets the room's name, and may return `undefined` for the default.
   */
  locationHint?: LocationHint | ((room: string) => LocationHint | undefined) | undefined;
  /** Spreads large rooms over relays. Rooms with `presence: "list"` stay one object. Default: no room has relays. */
  relays?: Relays<Env> | undefined;
}

/** Rooms of one kind in different jurisdictions. */
export interface SomeJurisdictions {
  /** All that `of` may return: each has a directory of its own. */
  among: readonly Jurisdiction[];
  /** That of a room, by its name; `undefined` for anywhere. Must return the same for a name for ever. */
  of: (room: string) => Jurisdiction | undefined;
}

/** Kinds of rooms: from the name in the URL to the Durable Object binding in the wrangler config, or to more than that. */
export type Kinds<Env extends object> = Readonly<Record<string, RoomBinding<Env> | Kind<Env>>>;

/** The kinds of one app. */
export class Places<Env extends object> {
  readonly #kinds: ReadonlyMap<string, Kind<Env>>;
  readonly #spreads: ReadonlyMap<string, Spread>;

  /**
   * @throws TypeError when no kind is given, two share a binding, or a place does not exist
   * @throws RangeError when relays are to take too few or too many connections
   */
  constructor(kinds: Kinds<Env> | undefined) {
    const entries = Object.entries(kinds ?? {});
    if (entries.length === 0)
      throw new TypeError('createApp needs a kind of room: createApp({ rooms: { chat: "BINDING" } })');
    this.#kinds = new Map(entries.map(([name, kind]) => [name, typeof kind === "string" ? { room: kind } : kind]));
    // A binding and a name are one room: two kinds on one binding would give it two sets of grants.
    for (const [name, kind] of this.#kinds) check(name, kind);
    const all = [...this.#kinds.values()].flatMap(({ room, relays }): string[] => [
      room,
      ...(relays ? [relays.binding] : []),
    ]);
    if (new Set(all).size < all.length)
      throw new TypeError("every kind needs its own binding, and so do the relays of each");
    this.#spreads = new Map(
      [...this.#kinds].flatMap(([name, { relays }]): [string, Spread][] => {
        if (!relays) return [];
        const { binding, from = FROM, each = EACH } = relays;
        return [[name, { binding, from, each }]];
      }),
    );
  }

  /** Names of the kinds. */
  get kinds(): string[] {
    return [...this.#kinds.keys()];
  }

  has(kind: string): boolean {
    return this.#kinds.has(kind);
  }

  /** Whether rooms of a kind must stay in a jurisdiction, or some of them. */
  isConfined(kind: string): boolean {
    return this.#kinds.get(kind)?.jurisdiction !== undefined;
  }

  /** Jurisdictions that rooms of any kind may be in; `undefined` stands for anywhere. Each has a directory. */
  get jurisdictions(): readonly (Jurisdiction | undefined)[] {
    const all = [...this.#kinds.values()].flatMap(({ jurisdiction }) =>
      typeof jurisdiction === "object" ? [undefined, ...jurisdiction.among] : [jurisdiction],
    );
    // What the Worker itself counts is of no jurisdiction.
    return [...new Set([undefined, ...all])];
  }

  /**
   * The jurisdiction of a room.
   *
   * @throws HookFailed when the deployer's function returns one that is not among those of the kind
   */
  jurisdictionOf({ kind, room }: RoomAddress): Jurisdiction | undefined {
    const jurisdiction = this.#kinds.get(kind)?.jurisdiction;
    if (typeof jurisdiction !== "object") return jurisdiction;
    const chosen: unknown = jurisdiction.of(room);
    if (chosen === undefined) return undefined;
    const found = jurisdiction.among.find((one) => one === chosen);
    if (!found) throw new HookFailed(`the jurisdiction of a room of kind ${kind} is not among those of the kind`);
    return found;
  }

  /**
   * The object of a room.
   *
   * @throws Misconfigured when the binding is missing
   * @throws HookFailed when the deployer's functions return no place
   */
  stub(env: Env, address: RoomAddress): DurableObjectStub<Room> {
    const namespace = namespaceIn<Room>(env, this.bindingOf(address.kind));
    return this.#within(namespace, address, address.room, this.#hintOf(address));
  }

  /** The binding of a kind's rooms. */
  bindingOf(kind: string): string {
    return String(this.#kinds.get(kind)?.room);
  }

  /** How large rooms of a kind are spread; `undefined` for a kind without relays. */
  spreadOf(kind: string): Spread | undefined {
    return this.#spreads.get(kind);
  }

  /**
   * A relay of a room, in the room's jurisdiction. It is made near its region.
   *
   * @throws Misconfigured when the binding is missing
   * @throws HookFailed when the deployer's function returns no place
   */
  relay(env: Env, address: RoomAddress, { binding, name, region }: RelayAddress): DurableObjectStub<Relay> {
    return this.#within(namespaceIn<Relay>(env, binding), address, name, isHint(region) ? region : undefined);
  }

  /** @throws Misconfigured when the binding of the relays is missing */
  requireRelays(env: Env, { binding }: Spread): void {
    namespaceIn<Relay>(env, binding);
  }

  /** Bindings that are missing, as sentences. */
  problems(env: Env): string[] {
    const relays = [...this.#spreads.values()].map(({ binding }) => binding);
    return [...this.kinds.map((kind) => this.bindingOf(kind)), ...relays].flatMap((binding) => {
      try {
        namespaceIn(env, binding);
        return [];
      } catch (error) {
        return error instanceof Misconfigured ? [error.message] : [];
      }
    });
  }

  #within<T extends Rpc.DurableObjectBranded>(
    namespace: DurableObjectNamespace<T>,
    address: RoomAddress,
    name: string,
    locationHint: LocationHint | undefined,
  ): DurableObjectStub<T> {
    const jurisdiction = this.jurisdictionOf(address);
    const within = (jurisdiction && confinedTo(namespace, jurisdiction)) ?? namespace;
    return locationHint === undefined ? within.getByName(name) : within.getByName(name, { locationHint });
  }

  #hintOf({ kind, room }: RoomAddress): LocationHint | undefined {
    const hint = this.#kinds.get(kind)?.locationHint;
    if (typeof hint !== "function") return hint;
    const chosen: unknown = hint(room);
    if (chosen === undefined || isHint(chosen)) return chosen;
    throw new HookFailed(`the locationHint of a room of kind ${kind} is no place`);
  }
}

/** @throws Misconfigured when the environment has no such binding */
function namespaceIn<T extends Rpc.DurableObjectBranded>(env: object, binding: string): DurableObjectNamespace<T> {
  const namespace = (env as Readonly<Record<string, Partial<DurableObjectNamespace<T>> | undefined>>)[binding];
  if (typeof namespace?.getByName === "function") return namespace as DurableObjectNamespace<T>;
  throw new Misconfigured(`There is no Durable Object binding ${binding}: add it to the wrangler config.`);
}

/**
 * @throws TypeError when a kind asks for a place that does not exist. JavaScript may ask for anything.
 * @throws RangeError when its relays are to take too few or too many connections
 */
function check<Env extends object>(name: string, { jurisdiction, locationHint, relays }: Kind<Env>): void {
  const given: unknown[] = typeof jurisdiction === "object" ? [...jurisdiction.among] : [jurisdiction];
  for (const one of given) {
    if (one !== undefined && !JURISDICTIONS.some((known) => known === one))
      throw new TypeError(`the kind ${name} has no jurisdiction of ${JURISDICTIONS.join(", ")}`);
  }
  if (typeof jurisdiction === "object" && typeof jurisdiction.of !== "function")
    throw new TypeError(`the jurisdiction of the kind ${name} needs a function: { among: ["eu"], of: (room) => "eu" }`);
  if (locationHint !== undefined && typeof locationHint !== "function" && !isHint(locationHint))
    throw new TypeError(`the kind ${name} has no locationHint of ${LOCATION_HINTS.join(", ")}`);
  if (relays !== undefined) checkRelays(name, relays);
}

function checkRelays(name: string, relays: unknown): void {
  const { binding, from, each } = (relays ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof binding !== "string" || binding === "")
    throw new TypeError(`the relays of the kind ${name} need a binding: { binding: "CHAT_RELAY" }`);
  checkCount(`the relays of the kind ${name} begin with`, from, Number.MAX_SAFE_INTEGER);
  checkCount(`each relay of the kind ${name} takes`, each, MAX_EACH);
}

function checkCount(what: string, count: unknown, most: number): void {
  if (count === undefined) return;
  if (typeof count !== "number") throw new TypeError(`${what} a number of connections`);
  if (!Number.isInteger(count) || count < 1 || count > most)
    throw new RangeError(`${what} an integer from 1${most === MAX_EACH ? " to 32,000" : " on"} of connections`);
}

function isHint(value: unknown): value is LocationHint {
  return LOCATION_HINTS.some((known) => known === value);
}
