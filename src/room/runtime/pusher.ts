/**
 * Tells relays what has happened: a room its relays, a relay those behind it. One call at a time to each; what happens
 * meanwhile joins the next. A relay that cannot be reached is only behind: it asks by itself when it is there again.
 */
import type { RelayView } from "../../protocol/api.ts";
import type { TickOutcome } from "../core/tick.ts";
import {
  RELAYING,
  RelayRemoved,
  type Dismissal,
  type Mirrored,
  type Position,
  type Pushed,
  type RelayAddress,
  type RelayPort,
  type Signal,
} from "../relaying.ts";
import type { RoomState } from "../store/state.ts";
import type { Platform } from "./platform.ts";

/** Relays that one object tells by itself; those past it are told by relays. */
const FAN = 64;
/** Bytes of publications in one push, about; what is more has the next one. */
const PUSH_BYTES = 4_194_304;
/** Signals that wait for a relay, in UTF-16 units at most: they are lost sooner than they are late. */
const MAX_SIGNALS = 262_144;
/** Dismissals that wait for a relay, at most: what it misses it learns when it next reports. */
const MAX_DISMISSALS = 1_000;
/** How long a push may take, in ms. */
const TIMEOUT_MS = 10_000;
/** After how long a push that failed is tried again, in ms; twice as long each time, so often. */
const RETRY_MS = 500;
const RETRIES = 5;

/** What a pusher works with. */
export interface PusherParts {
  readonly platform: Platform;
  readonly portOf: (relay: RelayAddress) => RelayPort;
  readonly state: () => RoomState | undefined;
  /** Nobody is connected to a relay. */
  readonly emptied: (relay: RelayAddress) => void;
  /** There is no such relay any more. */
  readonly removed: (relay: RelayAddress) => void;
  readonly fan?: number;
}

/** One relay. */
interface Branch {
  address: RelayAddress;
  /** Relays that it tells in its turn. */
  next: readonly RelayAddress[];
  /** The relay that tells it, as long as that can be reached. */
  server: Branch | undefined;
  /** Up to where it has everything; `undefined` while nobody knows. */
  cursor: Position | undefined;
  connections: number;
  signals: Signal[];
  signalLength: number;
  dismissals: Dismissal[];
  isDue: boolean;
  isCalling: boolean;
  /** Exchanges with it that are not answered yet: their answers say more than a push could. */
  exchanges: number;
  failures: number;
  /** When it last answered, in ms since the epoch. */
  heardAt: number | undefined;
}

/** The relays behind one object. */
export class Pusher {
  readonly #parts: PusherParts;
  readonly #branches = new Map<string, Branch>();
  readonly #fan: number;
  /** Of members, as relays were told. */
  #count = -1;
  /** The relays that were arranged last. */
  #arranged: readonly RelayAddress[] | undefined;
  /** Up to where, in which epoch. */
  #place = "";
  /** What was read of the log last. */
  #stretch: { readonly place: string; readonly upto: number; readonly items: string } | undefined;

  constructor(parts: PusherParts) {
    this.#parts = parts;
    this.#fan = parts.fan ?? FAN;
  }

  /** Every relay that is told, by this object or through another. How far those are that another tells, only that one knows. */
  get views(): RelayView[] {
    const head = this.#parts.state()?.log.committed ?? 0;
    const branches = [...this.#branches.values()];
    const told = new Set(
      branches.flatMap(({ next, failures }) => (failures === 0 ? next.map(({ name }) => name) : [])),
    );
    return branches.map(({ address, connections, cursor, heardAt }) => ({
      name: address.name,
      region: address.region,
      connections,
      ...(cursor && !told.has(address.name) && { lag: Math.max(0, head - cursor.offset) }),
      ...(heardAt !== undefined && { heardAt }),
    }));
  }

  /**
   * A tick is committed.
   *
   * @param relays all of them, in an order that does not change
   */
  ticked(state: RoomState, { outgoing, effects }: TickOutcome, relays: readonly RelayAddress[]): void {
    if (relays.length === 0 && this.#branches.size === 0) return;
    const isNew = this.#arrange(relays);
    const signals = outgoing.shared.flatMap((shared) => (shared?.type === "signal" && !shared.scope ? [shared] : []));
    const isCounted = state.population !== this.#count && state.definition.presence === "count";
    const { dismissals } = effects;
    // Not by what this tick has published: a copy may have begun anew.
    const place = `${state.epochs.current} ${state.log.committed}`;
    const isNews = place !== this.#place || signals.length > 0 || dismissals.length > 0;
    const isDraining = outgoing.shared.some((shared) => shared?.type === "all" && shared.text.includes('"goaway"'));
    if (!isNews && !isNew && !isDraining && !(isCounted && effects.countDue === undefined)) return;
    this.#count = state.population;
    this.#place = place;
    for (const branch of this.#branches.values()) {
      for (const { text, except, to } of signals)
        add(branch, { text, ...(except !== undefined && { except }), ...(to && { to }) });
      const names = new Set([branch.address, ...branch.next].map(({ name }) => name));
      const mine = dismissals.filter(({ relay }) => names.has(relay));
      branch.dismissals = [...branch.dismissals, ...mine].slice(-MAX_DISMISSALS);
      branch.isDue = true;
      this.#push(branch);
    }
  }

  /** A relay asks: until it is answered it is told nothing else. */
  asked(relay: RelayAddress): void {
    this.#branchOf(relay).exchanges++;
  }

  /** And is answered: from here on it is at this position. `undefined` when nobody knows. */
  answered(relay: RelayAddress, at: Position | undefined, connections: number): void {
    const branch = this.#branchOf(relay);
    branch.exchanges--;
    branch.cursor = at;
    branch.connections = connections;
    branch.heardAt = this.#parts.platform.now();
    branch.failures = 0;
    // The answer has said all that a push would say, but what has happened since and what is of the moment.
    if (at && at.offset === this.#parts.state()?.log.committed) branch.isDue = false;
    if (hasNews(branch)) this.#push(branch);
  }

  /** What it tells in its turn. */
  nextOf(relay: RelayAddress): readonly RelayAddress[] {
    return this.#branches.get(relay.name)?.next ?? [];
  }

  #branchOf(address: RelayAddress): Branch {
    const known = this.#branches.get(address.name);
    if (known) return known;
    const fresh: Branch = {
      address,
      next: [],
      server: undefined,
      cursor: undefined,
      connections: 0,
      signals: [],
      signalLength: 0,
      dismissals: [],
      isDue: false,
      isCalling: false,
      exchanges: 0,
      failures: 0,
      heardAt: undefined,
    };
    this.#branches.set(address.name, fresh);
    this.#arranged = undefined;
    return fresh;
  }

  /** Puts relays behind others. Those behind one that cannot be reached are served from here. Returns whether one is new. */
  #arrange(relays: readonly RelayAddress[]): boolean {
    if (relays === this.#arranged) return false;
    const names = new Set(relays.map(({ name }) => name));
    for (const [name, { exchanges, isCalling }] of this.#branches)
      if (!names.has(name) && exchanges === 0 && !isCalling) this.#branches.delete(name);
    const isNew = relays.some(({ name }) => !this.#branches.has(name));
    const branches = relays.map((address) => Object.assign(this.#branchOf(address), { address }));
    const roots = branches.slice(0, this.#fan);
    for (const root of roots) Object.assign(root, { next: [], server: undefined });
    for (const [i, branch] of branches.slice(roots.length).entries()) {
      const server = roots[i % roots.length];
      Object.assign(branch, { next: [], server });
      if (server) server.next = [...server.next, branch.address];
    }
    // One that is not among them and asks at this moment goes later.
    this.#arranged = this.#branches.size > names.size ? undefined : relays;
    return isNew;
  }

  #push(branch: Branch): void {
    if (branch.isCalling || branch.exchanges > 0) return;
    const state = this.#parts.state();
    if (!state) return;
    if (branch.server?.failures === 0) {
      Object.assign(branch, { isDue: false, signals: [], signalLength: 0, dismissals: [] });
      return;
    }
    const { dismissals } = branch;
    let mirrored: Mirrored;
    try {
      mirrored = this.#compose(state, branch);
    } catch {
      // The log cannot be read: the next tick that writes to it says so.
      return this.#later(branch);
    }
    Object.assign(branch, { isDue: false, isCalling: true, signals: [], signalLength: 0, dismissals: [] });
    void this.#serve(branch, mirrored, dismissals);
  }

  async #serve(branch: Branch, mirrored: Mirrored, dismissals: readonly Dismissal[]): Promise<void> {
    const answer = await this.#call(branch, mirrored);
    branch.isCalling = false;
    if (answer) return this.#took(branch, mirrored, answer);
    // What only a push says waits for the next one, but signals: those are of the moment.
    branch.dismissals = [...dismissals, ...branch.dismissals].slice(-MAX_DISMISSALS);
    branch.cursor = undefined;
    branch.isDue = true;
    this.#later(branch);
  }

  /** `undefined` when it has failed, or takes too long: the relay would be told nothing for as long as it is waited for. */
  #call({ address }: Branch, mirrored: Mirrored): Promise<Pushed | undefined> {
    const { platform, portOf } = this.#parts;
    return new Promise((resolve) => {
      const cancel = platform.later(TIMEOUT_MS, () => resolve(undefined));
      const answered = async () => {
        const { epoch, offset, connections } = await portOf(address).push(mirrored);
        return { epoch, offset, connections };
      };
      void answered()
        .catch((error: unknown) => {
          if (error instanceof RelayRemoved) this.#parts.removed(address);
          return undefined;
        })
        .then(resolve)
        .finally(cancel);
    });
  }

  #took(branch: Branch, { upto, epoch }: Mirrored, answer: Pushed): void {
    branch.failures = 0;
    branch.heardAt = this.#parts.platform.now();
    branch.connections = answer.connections;
    // One that lacks something asks for it by itself.
    if (branch.exchanges === 0) branch.cursor = answer.epoch === epoch ? answer : undefined;
    if (answer.connections === 0 && branch.next.length === 0) return this.#parts.emptied(branch.address);
    const head = this.#parts.state()?.log.committed ?? 0;
    if (branch.isDue || (answer.offset === upto && upto < head)) this.#push(branch);
  }

  #later(branch: Branch): void {
    branch.failures++;
    // Those behind it are told from here meanwhile.
    if (branch.failures === 1) for (const { name } of branch.next) this.#serveInstead(name, branch.dismissals);
    if (branch.failures > RETRIES) return;
    // Unless it has asked meanwhile.
    this.#parts.platform.later(RETRY_MS * 2 ** branch.failures, () => hasNews(branch) && this.#push(branch));
  }

  /** Serves a relay whose server cannot be reached; what only a push says goes along. */
  #serveInstead(name: string, dismissals: readonly Dismissal[]): void {
    const branch = this.#branches.get(name);
    if (!branch) return;
    branch.dismissals = [...branch.dismissals, ...dismissals.filter(({ relay }) => relay === name)];
    this.#push(branch);
  }

  /** Publications after an offset, addressed ones included: as many as one push takes. Mostly all relays lack the same. */
  #stretchOf({ epochs, log, replay }: RoomState, after: number): { readonly upto: number; readonly items: string } {
    const place = `${epochs.current} ${after} ${log.committed}`;
    if (this.#stretch?.place === place) return this.#stretch;
    const [first] = replay.after(after, undefined, PUSH_BYTES);
    this.#stretch = { place, upto: first?.upto ?? after, items: first?.items ?? "" };
    return this.#stretch;
  }

  #compose(state: RoomState, { cursor, signals, dismissals, next }: Branch): Mirrored {
    const epoch = state.epochs.current;
    const { committed } = state.log;
    const isKnown = cursor?.epoch === epoch && state.log.covers(cursor.offset);
    const after = isKnown ? cursor.offset : committed;
    const { drain } = state;
    const { upto, items } = this.#stretchOf(state, after);
    return {
      version: RELAYING,
      epoch,
      after,
      upto,
      items,
      count: state.population,
      ...(drain && { drain }),
      signals,
      dismissals,
      next,
    };
  }
}

/** Whether there is something that a relay was not told. */
function hasNews({ isDue, signals, dismissals }: Branch): boolean {
  return isDue || signals.length > 0 || dismissals.length > 0;
}

function add(branch: Branch, signal: Signal): void {
  branch.signals.push(signal);
  branch.signalLength += signal.text.length;
  while (branch.signalLength > MAX_SIGNALS && branch.signals.length > 1) {
    branch.signalLength -= branch.signals.shift()?.text.length ?? 0;
  }
}
