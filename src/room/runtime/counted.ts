/**
 * The sessions of a relay as its room counts them: those that are kept here, and those that the room has admitted and that are
 * about to be. Says what they come to, and lists them. Knows nothing of exchanges.
 */
import type { SessionKey, Up } from "../relaying.ts";
import type { Sessions } from "../store/sessions.ts";

/** A session, by its user, that is kept here since it was asked for: the room moves it here when it has heard that. */
export type Moving = SessionKey;

/** The sessions of one relay. */
export class Counted {
  /** Admitted, and not connected yet. */
  readonly #admitted = new Map<string, SessionKey>();

  /** How many are about to connect. */
  get coming(): number {
    return this.#admitted.size;
  }

  /** The room has admitted it. */
  admit(key: SessionKey): void {
    this.#admitted.set(key.session, key);
  }

  /** It has connected, or will not. */
  settle(session: string): void {
    this.#admitted.delete(session);
  }

  /** Whether it is kept here, or about to be. */
  isKept(sessions: Sessions, session: string): boolean {
    return this.#admitted.has(session) || sessions.get(session) !== undefined;
  }

  /** Whether the others know it to be here. */
  isPresent(sessions: Sessions, session: string): boolean {
    return this.#admitted.has(session) || sessions.get(session)?.present === true;
  }

  /** What they come to. Without reading them: there are thousands, and exchanges every moment. */
  digest(sessions: Sessions, moving: readonly Moving[]): string {
    const tally = sessions.tally.copy();
    for (const { session, user } of moving) {
      const known = sessions.owned(session, user);
      if (known) tally.toggle(known.id, known.present, -1);
    }
    for (const session of this.#admitted.keys()) {
      const known = sessions.get(session);
      if (known) tally.toggle(session, known.present, -1);
      tally.toggle(session, true, 1);
    }
    return tally.digest;
  }

  /** All of them. */
  list(sessions: Sessions): NonNullable<Up["sessions"]> {
    const here = [...sessions.all()].filter(({ id }) => !this.#admitted.has(id));
    const listed = here.map(({ id, user, present }) => ({ session: id, user, isPresent: present }));
    return [...listed, ...[...this.#admitted.values()].map((key) => ({ ...key, isPresent: true }))];
  }
}
