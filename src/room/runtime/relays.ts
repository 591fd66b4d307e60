/**
 * A room's relays, or those behind a relay: who is told what has happened, what they are answered, and when new connections go
 * to them. Puts together exchange, pusher and spread; a room without relays asks nothing of them.
 */
import type { RelayView } from "../../protocol/api.ts";
import type { Admission } from "../admission.ts";
import type { TickOutcome } from "../core/tick.ts";
import type { Down, Regions, RelayAddress, RelayPort, Up } from "../relaying.ts";
import type { RoomState } from "../store/state.ts";
import { codeOfThrown, type Failure } from "../telemetry/failure.ts";
import { Exchange } from "./exchange.ts";
import type { Platform } from "./platform.ts";
import { Pusher } from "./pusher.ts";
import type { Scheduler } from "./scheduler.ts";
import { SpreadRule } from "./spread.ts";

/** What relays are served with. */
export interface RelaysParts {
  readonly platform: Platform;
  readonly queue: Scheduler;
  /** How a relay is called; `undefined` where there are none. */
  readonly relayAt: ((relay: RelayAddress) => RelayPort) | undefined;
  /** Relays that one object serves by itself. Default: 64. */
  readonly fan: number | undefined;
  /** The state, if it is in memory. */
  readonly loaded: () => RoomState | undefined;
  /** @throws UnreadableStorage */
  readonly state: () => RoomState;
  readonly fail: (failure: Failure) => void;
}

/** The relays of one object. */
export class Relays {
  readonly #parts: RelaysParts;
  readonly #pusher: Pusher | undefined;
  readonly #exchange: Exchange;
  readonly #spread = new SpreadRule();
  #own: { readonly of: readonly RelayAddress[]; readonly attached: readonly RelayAddress[] } | undefined;
  /** Whether relays were told anything by this instance. */
  #hasGreeted = false;

  constructor(parts: RelaysParts) {
    const { platform, queue, relayAt, fan, loaded, state } = parts;
    this.#parts = parts;
    this.#pusher =
      relayAt &&
      new Pusher({
        platform,
        portOf: relayAt,
        state: loaded,
        emptied: ({ name }) => void queue.submit({ type: "detached", relay: name }),
        removed: ({ name }) => void queue.submit({ type: "removed", relay: name }),
        ...(fan !== undefined && { fan }),
      });
    this.#exchange = new Exchange({ queue, relays: this.#pusher, state, mintId: () => platform.mintId() });
  }

  /** Every relay that is served, as an operator sees it. */
  get views(): readonly RelayView[] {
    return this.#pusher?.views ?? [];
  }

  /** Where a connection is to be opened instead of here; `undefined`: here. */
  regionsFor(admission: Admission): Regions | undefined {
    return this.#pusher && this.#spread.regionsFor(admission, this.#parts.loaded());
  }

  /** A relay tells and asks. */
  exchange(up: Up): Promise<Down> {
    return this.#exchange.answer(up);
  }

  /** The room's own, as far as somebody is there. An instance that begins greets all: what a restore has brought back is seen to. */
  #ownOf({ remote }: RoomState): readonly RelayAddress[] {
    const { relays } = remote;
    if (!this.#hasGreeted) return relays;
    if (this.#own?.of !== relays) this.#own = { of: relays, attached: relays.filter(({ attached }) => attached) };
    return this.#own.attached;
  }

  /**
   * A tick is committed.
   *
   * @param behind relays that the room has put behind this one. Default: the room's own
   */
  ticked(state: RoomState, outcome: TickOutcome, behind?: readonly RelayAddress[]): void {
    if (!this.#pusher || (!behind && !state.remote.isUsed)) return;
    try {
      this.#pusher.ticked(state, outcome, behind ?? this.#ownOf(state));
      this.#hasGreeted = true;
    } catch (error) {
      // They are late: a relay that nobody tells anything asks by itself.
      this.#parts.fail({ code: codeOfThrown(error), source: "relays", error });
    }
  }
}
