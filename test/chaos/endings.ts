/** Which sessions were ended by their members or by operators, and that nothing of such a session takes effect any more. */
import type { Event } from "./record.ts";
import type { Truth } from "./truth.ts";
import type { Verdict } from "./verdict.ts";

/** The clocks of two processes of one machine, in ms; the runtime's stands still while it computes. */
const CLOCK_MS = 2;

/** What an operator is about to end, or has. */
interface Ending {
  /** The sessions that there were when it was asked for. */
  readonly sessions: ReadonlySet<string>;
  isDone: boolean;
}

/** All of them. */
export class Endings {
  readonly #over = new Set<string>();
  /** By `user room`. */
  readonly #byUser = new Map<string, Ending>();
  /** When an operator was told that a session is over. */
  readonly #since = new Map<string, number>();
  /** Users of whom sessions were ended. */
  readonly users = new Set<string>();

  /** A member leaves. */
  leave(session: string, user: string): void {
    this.#over.add(session);
    this.users.add(user);
  }

  /** Somebody is welcomed, and may be put out at once while an operator is at work. */
  come(session: string, user: string, room: string): void {
    if (this.#byUser.get(`${user} ${room}`)?.isDone === false) this.#over.add(session);
  }

  /** Whether a session may be over. */
  mayBeOver(session: string): boolean {
    return this.#over.has(session);
  }

  /**
   * An operator ends the sessions of a user, or has ended them.
   *
   * @param sessions those that are known at that moment
   */
  operate({ what, user, room, t }: Extract<Event, { what: "ending" | "ended" }>, sessions: ReadonlySet<string>): void {
    for (const session of sessions) this.leave(session, user);
    const key = `${user} ${room}`;
    if (what === "ending") return void this.#byUser.set(key, { sessions, isDone: false });
    const ending = this.#byUser.get(key);
    if (!ending) return;
    ending.isDone = true;
    // Of those that began meanwhile nobody knows.
    for (const session of ending.sessions) if (!this.#since.has(session)) this.#since.set(session, t);
  }

  /** At the end: nothing of a session took effect after an operator was told that it is over. */
  judge(truths: ReadonlyMap<string, Truth>, verdict: Verdict): void {
    verdict.count("sessions ended by an operator", this.#since.size);
    for (const [session, at] of this.#since) {
      for (const truth of truths.values()) {
        const { room } = truth;
        const late = (truth.lastOf(session) ?? 0) - at;
        if (late <= CLOCK_MS) continue;
        const text = `${room}: ${session} published ${Math.round(late)} ms after an operator had ended it`;
        verdict.violated("token", text, { room });
      }
    }
  }
}
