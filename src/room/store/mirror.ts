/**
 * A relay's copy of its room's log: rows in memory, and where its members are in the room's history. It outlives the state
 * that is made of it. What hibernation must not lose of it rides with a socket.
 */
import type { RelayAddress } from "../relaying.ts";
import type { Facts } from "./epochs.ts";
import { MemoryRows, type LogBase } from "./log-rows.ts";

/** Up to where the members of a relay have been told everything that they may see. */
export interface Fed extends LogBase {
  readonly epoch: string;
}

/** After how long a relay that nobody is connected to tells its room again what it may not have heard, in ms. */
export const UNTOLD_MS = 30_000;
/** And at most, when the room does not answer. */
const MOST_UNTOLD_MS = 3_600_000;

/** One copy. */
export class Mirror implements Facts {
  readonly rows = new MemoryRows();
  /** Of the relay. */
  name = "";
  /** Members of the whole room, as it was told last; `undefined` before. */
  count: number | undefined;
  /** Whether signals go through a hook of the room. */
  hasSignalHook = true;
  /** Relays that are told everything by this one. */
  next: readonly RelayAddress[] = [];
  /**
   * Until when the room must have learned who has gone, in ms since the epoch: then it is told again. Where nobody is
   * connected no heartbeat would do so.
   */
  due: number | undefined;
  /** It is time to tell the room again. */
  isOverdue = false;
  #fed: Fed | undefined;
  #epochs: string | undefined;

  /** `undefined` while nothing is known: then nobody may be connected either. */
  get fed(): Fed | undefined {
    return this.#fed;
  }

  /** How often the room was told in vain. */
  tries = 0;

  /**
   * Time passes. What is overdue is put off, twice as long each time: an alarm must not ring for ever for a room that is gone.
   *
   * @returns whether it was
   */
  pass(now: number): boolean {
    if (this.due === undefined || this.due > now) return false;
    this.isOverdue = true;
    this.tries++;
    this.due = now + this.patience;
    return true;
  }

  /** How long the next try waits, in ms. */
  get patience(): number {
    return Math.min(MOST_UNTOLD_MS, UNTOLD_MS * 2 ** this.tries);
  }

  /** A state is about to be built: what the last one did and could not commit is taken out. */
  rewind(carried: Fed | undefined): void {
    this.#fed ??= carried;
    this.rows.rewind(this.#fed ?? { offset: 0, total: 0 });
    this.#epochs = this.#fed && `${this.#fed.epoch} 0`;
  }

  /** A tick is committed, and its publications are about to be told. */
  settle(fed: Fed): void {
    this.#fed = fed;
  }

  get(_key: "epochs"): string | undefined {
    return this.#epochs;
  }

  set(_key: "epochs", value: string): void {
    this.#epochs = value;
  }
}
