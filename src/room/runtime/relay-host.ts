/**
 * A relay in its place: the host of a room whose log is a copy, and its way to the room that has the truth. Hands out what
 * becomes of what the platform delivers, as the room's own host does.
 */
import type { Admission } from "../admission.ts";
import type { Result } from "../core/event.ts";
import type { Told } from "../core/relay.ts";
import { defineRoom, type RoomDefinition } from "../definition.ts";
import {
  RELAYING,
  type Down,
  type Home,
  type Mirrored,
  type Pushed,
  type RelayAddress,
  type RelayPort,
  type RelayRules,
  type Up,
  type Via,
} from "../relaying.ts";
import { Mirror } from "../store/mirror.ts";
import { factOf } from "../store/meta.ts";
import { RoomHost, type HostParts, type Opened } from "./host.ts";
import type { Platform } from "./platform.ts";
import { Upstream } from "./upstream.ts";

/** There is no place at this relay; another one may have one. */
const FULL = { ok: false, isFull: true } as const;

/** What a relay is made of. */
export interface RelayParts extends Pick<HostParts, "platform" | "observer"> {
  /** Asks its room. */
  readonly ask: (home: Home, up: Up) => Promise<Down>;
  readonly relayAt: (relay: RelayAddress) => RelayPort;
}

/** One relay. */
export class RelayHost {
  readonly room: RoomHost;
  readonly #platform: Platform;
  readonly #upstream: Upstream;
  readonly #mirror = new Mirror();
  /** Members that want to connect and are not connected yet. */
  #coming = 0;
  #via: Via | undefined;
  #rules: RelayRules | undefined;
  #definition: RoomDefinition | undefined;

  constructor({ platform, observer, ask, relayAt }: RelayParts) {
    this.#platform = platform;
    const mirror = this.#mirror;
    this.#upstream = new Upstream({
      platform,
      mirror,
      isWoken: () => this.#via === undefined,
      ask: (up) => ask(this.via.home, up),
      relay: () => this.via.relay,
      state: () => this.room.state,
      submit: (event) => this.room.submit(event),
      answer: ({ connection }, text) => this.room.answer(connection, text),
      learn: (rules) => this.#learn(rules),
      failed: (error) => this.room.failed({ code: "upstream_failed", source: "relay", error }),
    });
    this.room = new RoomHost({
      platform,
      definition: () => this.#definitionNow,
      env: {},
      observer,
      relayAt,
      // Two levels are enough: it tells all those that the room has put behind it.
      fan: Infinity,
      relay: {
        mirror,
        ticked: (state, outcome) => this.#upstream.ticked(state, outcome),
        answered: () => this.#upstream.answered(),
      },
    });
  }

  /** Opens a connection, if its room admits it; `isFull`: another relay may have a place. */
  async connect(admission: Admission & { readonly via: Via }): Promise<Opened | typeof FULL> {
    if (this.#connections >= admission.via.each) return FULL;
    // Its place is taken from here on: others come while it is being opened.
    this.#coming++;
    try {
      return await this.#connect(admission);
    } finally {
      this.#coming--;
    }
  }

  async #connect(admission: Admission & { readonly via: Via }): Promise<Opened> {
    const { via } = admission;
    if (JSON.stringify(via) !== JSON.stringify(this.#via)) {
      this.#learnVia(via);
      this.#definition = undefined;
      const settled = await this.room.submit({ type: "settled in", via });
      if (!settled.ok) {
        this.#via = undefined;
        return settled;
      }
    }
    const id = this.#platform.mintId();
    const { resume } = admission;
    const isMoving = resume !== undefined && !this.room.state.sessions.get(resume.session);
    const prepared = await this.#prepare(admission, isMoving);
    if (!prepared.ok) return prepared;
    const { admitted, isSure } = await this.#upstream.admit({ id, admission }, isMoving);
    if (!admitted.ok && isMoving && isSure) {
      const key = { user: admission.credentials.user, session: resume.session };
      void this.room.submit({ type: "forgone", key });
    }
    let isOpen = false;
    try {
      const opened = admitted.ok ? await this.room.open({ type: "admitted", admission, admitted }) : admitted;
      isOpen = opened.ok;
      return opened;
    } finally {
      this.#upstream.opened(admitted.ok ? admitted.session : undefined, isOpen);
    }
  }

  /** The room, or the relay before this one, tells what has happened. */
  async push(mirrored: Mirrored): Promise<Pushed> {
    const version: unknown = mirrored.version;
    if (version !== RELAYING) throw new TypeError(`a room of another version: ${String(version)}, not ${RELAYING}`);
    if (this.#connections === 0 && mirrored.next.length === 0) {
      // Nobody is here to be told. Sessions that were lost with their sockets are seen to, and the room learns of it.
      await this.room.submit({ type: "countDue" });
      this.#upstream.ask();
      return { epoch: "", offset: 0, connections: 0 };
    }
    // One that has just woken looks up who it is.
    this.#mirror.name = this.via.relay.name;
    const result = await this.room.submit({ type: "mirrored", mirrored, replies: [] });
    if (!result.ok) throw new Error(`not taken: ${result.code}`);
    const { offset, isGap } = result.value as Told;
    this.#upstream.heard(isGap);
    return { epoch: this.room.state.epochs.current, offset, connections: this.#connections };
  }

  /** Should this instance die with what the room has admitted, the alarm tells the room, and a session that moves is kept. */
  async #prepare(admission: Admission, isMoving: boolean): Promise<Result> {
    const { connections } = this.room.state;
    // Where somebody is, the alarm rings anyway.
    const isArmed = connections.size > 0 || this.#mirror.due !== undefined;
    if (!isArmed) this.#mirror.due = this.#platform.now() + this.#mirror.patience;
    if (isMoving) return this.room.submit({ type: "expected", admission });
    return isArmed ? { ok: true, value: undefined } : this.room.submit({ type: "countDue" });
  }

  /**
   * Where this relay is, and its room.
   *
   * @throws Error when nobody has ever been here
   */
  get via(): Via {
    const via = this.#via ?? (this.#stored("via") as Via | undefined);
    if (!via) throw new Error("this relay has no room");
    this.#learnVia(via);
    return via;
  }

  #learnVia(via: Via): void {
    this.#via = via;
    this.#mirror.name = via.relay.name;
  }

  /** Connections, and those that are about to be. */
  get #connections(): number {
    return this.room.state.connections.size + this.#coming;
  }

  /** By the rules that the room told last. A relay that wakes has written them down. */
  get #definitionNow(): RoomDefinition {
    if (this.#definition) return this.#definition;
    this.#rules ??= this.#stored("rules") as RelayRules | undefined;
    const each = this.#via?.each ?? (this.#stored("via") as Via | undefined)?.each ?? 1;
    // Nobody is here before the room has said by which rules.
    const { hasSignalHook = true, ...rules } = this.#rules ?? {};
    this.#mirror.hasSignalHook = hasSignalHook;
    this.#definition = defineRoom({ presence: "off", ...rules, maxConnections: each });
    return this.#definition;
  }

  #stored(key: "rules" | "via"): unknown {
    const fact = factOf(this.#platform.storage.sql, key);
    return fact === undefined ? undefined : JSON.parse(fact);
  }

  #learn(rules: RelayRules): void {
    if (JSON.stringify(rules) === JSON.stringify(this.#rules)) return;
    this.#rules = rules;
    this.#definition = undefined;
    this.room.reload();
  }
}
