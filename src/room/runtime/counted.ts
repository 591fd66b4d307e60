/**
 * The sessions of a relay as its room counts them: those that are kept here, and those that the room has admitted and that are
 * about to be. Says what they come to, and lists them. Knows nothing of exchanges.
 */
import type { Joining, SessionKey, Up } from "../relaying.ts";
import type { Sessions } from "../store/sessions.ts";

/** A client that wants to connect. */
interface Coming {
  readonly joining: Joining;
  /** Its session is kept here since it has been asked for. */
  readonly isMoving: boolean;
  /** The room was asked before, and nobody knows what came of it. */
  readonly isRepeat?: true;
}

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
  digest(sessions: Sessions, moving: readonly SessionKey[]): string {
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

/** Sessions that are kept here since they were asked for, and that the room was not asked for before: it moves them when it is. */
export function movingOf(coming: readonly Coming[]): SessionKey[] {
  return coming.flatMap(({ joining: { admission }, isMoving, isRepeat }) => {
    const { resume, credentials } = admission;
    return resume && isMoving && !isRepeat ? [{ session: resume.session, user: credentials.user }] : [];
  });
}
