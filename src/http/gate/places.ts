/**
 * Where rooms are: the kinds of an app, and the Durable Object of a room of each, in the jurisdiction and near the place that
 * its kind asks for. The only file that makes a room's stub. Says what is wrong with a kind; knows nothing of requests.
 */
import { confinedTo, JURISDICTIONS, type Jurisdiction } from "../../ops/jurisdiction.ts";
import { Misconfigured } from "../../ops/settings.ts";
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

/** The names of an environment's bindings of rooms. */
export type RoomBinding<Env extends object> = {
  [Name in keyof Env & string]: Env[Name] extends DurableObjectNamespace<infer Object>
    ? Object extends Room | undefined
      ? Name
      : never
    : never;
}[keyof Env & string];

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

  /** @throws TypeError when no kind is given, two share a binding, or a place does not exist */
  constructor(kinds: Kinds<Env> | undefined) {
    const entries = Object.entries(kinds ?? {});
    if (entries.length === 0)
      throw new TypeError('createApp needs a kind of room: createApp({ rooms: { chat: "BINDING" } })');
    this.#kinds = new Map(entries.map(([name, kind]) => [name, typeof kind === "string" ? { room: kind } : kind]));
    // A binding and a name are one room: two kinds on one binding would give it two sets of grants.
    if (new Set([...this.#kinds.values()].map(({ room }) => room)).size < entries.length)
      throw new TypeError("every kind needs its own binding");
    for (const [name, kind] of this.#kinds) check(name, kind);
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
    const namespace = this.#namespace(env, address.kind);
    const jurisdiction = this.jurisdictionOf(address);
    const locationHint = this.#hintOf(address);
    const within = (jurisdiction && confinedTo(namespace, jurisdiction)) ?? namespace;
    return locationHint === undefined
      ? within.getByName(address.room)
      : within.getByName(address.room, { locationHint });
  }

  /** Bindings that are missing, as sentences. */
  problems(env: Env): string[] {
    return this.kinds.flatMap((kind) => {
      try {
        this.#namespace(env, kind);
        return [];
      } catch (error) {
        return error instanceof Misconfigured ? [error.message] : [];
      }
    });
  }

  #hintOf({ kind, room }: RoomAddress): LocationHint | undefined {
    const hint = this.#kinds.get(kind)?.locationHint;
    if (typeof hint !== "function") return hint;
    const chosen: unknown = hint(room);
    if (chosen === undefined || isHint(chosen)) return chosen;
    throw new HookFailed(`the locationHint of a room of kind ${kind} is no place`);
  }

  #namespace(env: Env, kind: string): DurableObjectNamespace<Room> {
    const binding = this.#kinds.get(kind)?.room;
    const namespace = binding && (env[binding] as Partial<DurableObjectNamespace<Room>> | undefined);
    if (typeof namespace?.getByName === "function") return namespace as DurableObjectNamespace<Room>;
    throw new Misconfigured(`There is no Durable Object binding ${String(binding)}: add it to the wrangler config.`);
  }
}

/** @throws TypeError when a kind asks for a place that does not exist. JavaScript may ask for anything. */
function check<Env extends object>(name: string, { jurisdiction, locationHint }: Kind<Env>): void {
  const given: unknown[] = typeof jurisdiction === "object" ? [...jurisdiction.among] : [jurisdiction];
  for (const one of given) {
    if (one !== undefined && !JURISDICTIONS.some((known) => known === one))
      throw new TypeError(`the kind ${name} has no jurisdiction of ${JURISDICTIONS.join(", ")}`);
  }
  if (typeof jurisdiction === "object" && typeof jurisdiction.of !== "function")
    throw new TypeError(`the jurisdiction of the kind ${name} needs a function: { among: ["eu"], of: (room) => "eu" }`);
  if (locationHint !== undefined && typeof locationHint !== "function" && !isHint(locationHint))
    throw new TypeError(`the kind ${name} has no locationHint of ${LOCATION_HINTS.join(", ")}`);
}

function isHint(value: unknown): value is LocationHint {
  return LOCATION_HINTS.some((known) => known === value);
}
