/** The clients of one run: connects them, waits until they have everything, proves that nothing is missing. */
import { dialects } from "./dialects.ts";
import type { Crowd, Target } from "./jobs.ts";
import { Member } from "./member.ts";
import { Sequence } from "./payload.ts";
import { signToken } from "./token.ts";

const PATIENCE = 60_000;

/** All clients of a run. */
export class Clients {
  readonly target: Target;
  readonly rooms: Member[][] = [];
  readonly all: Member[] = [];

  constructor(target: Target) {
    this.target = target;
  }

  /** Creates and connects the clients. Returns how long each took, in ms. Tokens are signed before. */
  async open({ room, rooms, members, concurrency, first = 0 }: Crowd): Promise<number[]> {
    for (let r = 0; r < rooms; r++) {
      const name = rooms === 1 ? room : `${room}-${r}`;
      this.rooms.push(
        Array.from({ length: members }, (_, m) => new Member(dialects[this.target.dialect], name, `u${first + m}`)),
      );
    }
    this.all.push(...this.rooms.flat());
    const inspector = this.all.at(-1);
    if (inspector) inspector.sequence = new Sequence();
    return this.connect(this.all, concurrency);
  }

  /** Connects these clients, so many at a time. Returns how long each took, in ms. */
  async connect(members: readonly Member[], concurrency: number): Promise<number[]> {
    const tokens = members.map(({ user }) => signToken(user));
    const took: number[] = [];
    let next = 0;
    const worker = async () => {
      for (let i = next++; i < members.length; i = next++) {
        const start = performance.now();
        await members[i]?.connect(this.target.port, this.target.path, tokens[i]);
        took.push(performance.now() - start);
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, members.length) }, worker));
    return took;
  }

  count(what: "received" | "published" | "messages" | "acknowledged"): number {
    return this.all.reduce((sum, member) => sum + member[what], 0);
  }

  /** Waits until every socket has every publication of its room. Throws when one is missing or comes twice. */
  async complete(): Promise<void> {
    const deadline = performance.now() + PATIENCE;
    for (const room of this.rooms) {
      const published = room.reduce((sum, member) => sum + member.published, 0);
      for (const member of room) {
        while (member.received < published) {
          this.check();
          if (performance.now() > deadline) {
            throw new Error(`${member.user} of ${member.room} has ${member.received} of ${published} publications`);
          }
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }
    }
    // Only now: a second copy arrives no later than the last first one.
    for (const room of this.rooms) {
      const published = room.reduce((sum, member) => sum + member.published, 0);
      for (const { user, received, sequence } of room) {
        if (received !== published) throw new Error(`${user} has ${received} of ${published} publications`);
        if (sequence && sequence.seen !== published) throw new Error(`${user} has read ${sequence.seen} items`);
      }
    }
    this.check();
  }

  /** Throws the failure of any client. */
  check(): void {
    const failed = this.all.find(({ failure }) => failure !== undefined);
    if (failed) throw new Error(failed.failure);
  }
}
