/**
 * When the members of a room learn how many they are, where that is all they learn: at once after a change, but no more
 * often than the room can bear to tell. Pure arithmetic; the time is handed in.
 */

/** Between two tellings, at least. */
const EVERY_MS = 1_000;
/** And for each connection so much more: a telling is a message to every one of them. At most 1,000 of these a second. */
const EVERY_MS_EACH = 1;

/** Which changes of the number of members were not told yet. */
export class Headcount {
  #toldAt = -Infinity;
  #isChanged = false;
  /** Nobody knows what was told last: the room was out of memory. */
  #isUnsure = true;

  /** Somebody came or went. */
  change(): void {
    this.#isChanged = true;
  }

  /** A heartbeat goes out: what was not told before the room slept is told with it. */
  remind(): void {
    if (this.#isUnsure) this.#isChanged = true;
  }

  /** When the number is to be told, in ms since the epoch; `undefined` while everyone knows it. */
  due(now: number, connections: number): number | undefined {
    if (!this.#isChanged) return undefined;
    const next = this.#toldAt + Math.max(EVERY_MS, EVERY_MS_EACH * connections);
    // A clock that was put back must not make everyone wait for it.
    return next <= now || this.#toldAt > now ? now : next;
  }

  /** Everyone is told. */
  told(now: number): void {
    this.#toldAt = now;
    this.#isChanged = false;
    this.#isUnsure = false;
  }
}
