/**
 * Which connections were opened at relays, as the relays wrote down: no client can tell. Without it nobody knows whether a
 * run says anything about relays at all.
 */

/** One connection that a relay opened. `session`: the one that was asked for; empty for none. */
export type Opened = readonly [at: number, user: string, session: string, relay: string];

/** The clocks of two processes of one machine, in whole ms. */
const CLOCK_MS = 2;

/** All such connections of one room. */
export class Relayed {
  readonly #byUser = new Map<string, Opened[]>();

  constructor(opened: readonly Opened[]) {
    for (const each of opened) {
      const mine = this.#byUser.get(each[1]);
      if (mine) mine.push(each);
      else this.#byUser.set(each[1], [each]);
    }
  }

  /** The relay that opened what a user had asked for between two moments; `undefined`: the room itself did. */
  relayOf(user: string, session: string | undefined, from: number, upto: number): string | undefined {
    const mine = this.#byUser.get(user) ?? [];
    const found = mine.find(
      ([at, , asked]) => asked === (session ?? "") && at >= from - CLOCK_MS && at <= upto + CLOCK_MS,
    );
    return found?.[3];
  }
}
