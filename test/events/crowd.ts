/** People who never stop: programs with the SDK that come, publish as fast as they are told, and go, in a few rooms. */
import { SignJWT } from "jose";
import { connect, memoryStore, type RoomClient } from "../../src/client/client.ts";
import { eventually } from "../support/patience.ts";

/** The secret of the tokens. */
export const SECRET = "a secret of this test that is long enough";

/** A token of a user; with `rooms` when it may do more than members do. */
export async function tokenOf(user: string, rooms?: Record<string, string[]>): Promise<string> {
  return new SignJWT(rooms ? { rooms } : {})
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}

/** What a room has promised to keep. */
export interface Promised {
  readonly room: string;
  readonly offset: number;
  readonly data: string;
}

export class Crowd {
  readonly promised: Promised[] = [];
  readonly #url: string;
  readonly #random: () => number;
  readonly #people = new Set<RoomClient>();
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  #said = 0;

  constructor(url: string, random: () => number) {
    this.#url = url;
    this.#random = random;
  }

  /** Somebody who publishes every so many ms, and now and then leaves and comes again. */
  enter(room: string, user: string, every: number): void {
    let client = this.#connect(room, user);
    const timer = setInterval(() => {
      if (this.#random() < 0.02) {
        client.leave();
        this.#people.delete(client);
        client = this.#connect(room, user);
      }
      const data = `${user} ${++this.#said}`;
      client.publish(data).then(
        ({ offset }) => this.promised.push({ room, offset, data }),
        // A member that leaves is not told what became of it; the room's log says.
        () => undefined,
      );
    }, every);
    this.#timers.push(timer);
  }

  /** Nobody says anything any more; everybody hears what became of what was said, and leaves. */
  async goHome(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    const isSettled = () => ![...this.#people].some(({ pending }) => pending > 0);
    await eventually(isSettled, { what: "publications to be settled", aloneMs: 5_000 });
    for (const client of this.#people) client.leave();
  }

  #connect(room: string, user: string): RoomClient {
    const client = connect(this.#url, { room: `room/${room}`, token: () => tokenOf(user), storage: memoryStore() });
    this.#people.add(client);
    return client;
  }
}
