/** The members of the room, and what this one shows of itself. Knows no connection. */
import { encode } from "../../protocol/codec.ts";
import type { Json, Member, ServerFrame } from "../../protocol/frames.ts";
import type { RoomError } from "../error.ts";
import { tooLarge } from "./validate.ts";

/** A change of the list of members. */
export type PresenceFrame = Extract<ServerFrame, { type: "presence" }>;

/** The members of a room, as one of them sees them. */
export class Presence {
  readonly #members = new Map<string, Member>();
  /** How many there are, where the room says only that. */
  #count: number | undefined;
  /** This member's user id. */
  #me = "";
  /** The frame with what this member shows: only the newest counts. */
  #frame: string | undefined;
  /** Whether it must be sent. */
  isDue = false;
  /** Whether the room has shown it. */
  #isShown = false;
  /** Whether the room has refused it, or one before it, for good. */
  #isRefused = false;

  /** This member's user id; `undefined` before the first welcome. */
  get me(): string | undefined {
    return this.#me || undefined;
  }

  /** The members who are here, by id. */
  get list(): readonly Member[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** How many members are here; `undefined` where the room does not say. A list has this member at least. */
  get count(): number | undefined {
    return this.#count ?? (this.#members.size || undefined);
  }

  /** The frame that shows this member's data, if it must be sent. The caller sends it. */
  take(): string | undefined {
    const frame = this.isDue ? this.#frame : undefined;
    this.isDue = false;
    return frame;
  }

  /** The room refused what was sent. Returns whether it must be sent again: when that was for now. */
  refused(isForNow: boolean): boolean {
    this.#isRefused = !isForNow;
    if (isForNow) this.#again();
    return isForNow && this.isDue;
  }

  /** A connection begins as this member. The room forgets what a member shows when it has announced its leave. */
  begin(me: string, isNewSession: boolean, members: readonly Member[]): void {
    this.#me = me;
    const self = members.find(({ id }) => id === me);
    if (isNewSession || self?.data === undefined) this.#isShown = false;
    // A room without a list shows nothing of anyone: it has refused it once.
    if (self) this.#again();
  }

  /** Sets what the others see of this member, as a frame. What the room shows, or was sent, is not sent again. */
  set(frame: string): void {
    // Another session of this user may have set something else since. What was refused may be tried again.
    const isOver = this.#isRefused || (this.#isShown && !this.#shows(this.#members.get(this.#me)));
    if (frame === this.#frame && !isOver) return;
    this.#frame = frame;
    this.isDue = true;
    this.#isShown = this.#isRefused = false;
  }

  /** The room takes messages up to `limit` bytes. Returns why what is set can never be sent, and forgets it then. */
  validate(limit: number): RoomError | undefined {
    const error = tooLarge(this.#frame ?? "", limit);
    if (error) this.#frame = undefined;
    return error;
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
    this.#isShown ||= [...members, ...update].some((member) => member.id === this.#me && this.#shows(member));
  }

  /** What was sent may be lost. */
  #again(): void {
    this.isDue ||= this.#frame !== undefined && !this.#isShown;
  }

  #shows(member: Member | undefined): boolean {
    return encode({ type: "presence", data: member?.data as Json }) === this.#frame;
  }
}
