/** The members of the room, and what this one shows of itself. Knows no connection. */
import { encode } from "../../protocol/codec.ts";
import type { Json, Member, ServerFrame } from "../../protocol/frames.ts";

/** A change of the list of members. */
export type PresenceFrame = Extract<ServerFrame, { type: "presence" }>;

/** The members of a room, as one of them sees them. */
export class Presence {
  readonly #members = new Map<string, Member>();
  /** How many there are, where the room says only that. */
  #count: number | undefined;
  /** This member's user id. */
  #me = "";
  #data: Json | undefined;
  /** Whether the room has shown that it knows {@link #data}. */
  #isShown = true;

  /** This member's user id; `undefined` before the first welcome. */
  get me(): string | undefined {
    return this.#me || undefined;
  }

  /** The members who are here, by id. */
  get list(): readonly Member[] {
    return [...this.#members.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** How many members are here; `undefined` where the room does not say. A list has this member at least. */
  get count(): number | undefined {
    return this.#count ?? (this.#members.size || undefined);
  }

  /** The frame that shows this member's data, while the room may not know it. */
  get due(): string | undefined {
    return this.#data === undefined || this.#isShown ? undefined : encode({ type: "presence", data: this.#data });
  }

  /** A connection begins as this member. The room forgets what a member shows when it has announced its leave. */
  begin(me: string, isNewSession: boolean, members: readonly Member[]): void {
    this.#me = me;
    if (isNewSession || members.find(({ id }) => id === me)?.data === undefined) this.#isShown = false;
  }

  /** Sets what the others see of this member. */
  set(data: Json): void {
    this.#data = data;
    this.#isShown = false;
  }

  /** What is due can never be sent. */
  drop(): void {
    this.#data = undefined;
  }

  /** The room lists its members, or says how the list changed. */
  apply({ members, count, join = [], update = [], leave = [] }: Omit<PresenceFrame, "type">): void {
    if (members) this.#members.clear();
    if (members || count) this.#count = count;
    for (const member of [...(members ?? []), ...join, ...update]) this.#members.set(member.id, member);
    for (const id of leave) this.#members.delete(id);
  }

  /** Whether the room shows this member as it wants to be seen. */
  confirm({ members = [], update = [] }: Omit<PresenceFrame, "type">): void {
    this.#isShown ||= [...members, ...update].some(
      ({ id, data }) => id === this.#me && encode(data as never) === encode(this.#data as never),
    );
  }
}
