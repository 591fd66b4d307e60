/**
 * What one connection is told, judged frame by frame: order, gaps, repeats, who may see what, who is here. Knows the words
 * of the protocol and nothing of how rooms work.
 */
import type { ClientFrame, Member, Publication, ServerFrame } from "../../../src/protocol/frames.ts";
import { CREDIT_ITEMS_TOLD, verdictOn } from "./facts.ts";
import { check, isFor, textOf, type Era, type Stamp } from "./history.ts";
import type { Oracle } from "./oracle.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

/** What a connection asked to continue from. */
export interface Asked {
  readonly session: string;
  readonly position: { readonly epoch: string; readonly offset: number } | undefined;
}

/** One connection. */
export class Ear {
  readonly user: string;
  readonly asked: Asked | undefined;
  readonly hasCredit: boolean;
  session: string | undefined;
  /** Where the history was when its welcome was sent. */
  era: Era | undefined;
  /** It was told good-bye with this code. */
  bye: string | undefined;
  isOver = false;
  /** It has ended its session, or is about to. */
  hasLeft = false;
  /** When its token ends, in ms since the epoch. */
  expires = Infinity;
  /** Those of the message that is being handed over. */
  frames: readonly ServerFrame[] = [];
  /** Users that it was told are here. */
  readonly members = new Set<string>();
  /** How many it was told are here, where it is told only that. */
  count: number | undefined;
  readonly #oracle: Oracle;
  #epoch = "";
  /** Where the next pub must begin, less one. */
  #told = 0;
  /** Everything up to here was received, covered or replaced by a snapshot. */
  #position = 0;
  /** Offsets it may not have been told of: those of snapshots and before. */
  #from = 0;
  readonly #seen = new Set<number>();
  #syncs: number[] = [];
  /** The highest offset that the room may take for acknowledged. */
  #acked = 0;
  /** Calls without a reply, by ref. */
  readonly #calls = new Map<number, number>();
  #awaitsSnapshot = false;

  constructor(oracle: Oracle, user: string, asked: Asked | undefined, hasCredit: boolean) {
    this.#oracle = oracle;
    this.user = user;
    this.asked = asked;
    this.hasCredit = hasCredit;
  }

  /** Everything up to here was received. */
  get position(): number {
    return this.#position;
  }

  hears(frame: ServerFrame, stamp: Stamp): void {
    const { era } = stamp;
    check(this.bye === undefined, () => `${this.#who} heard ${frame.type} after bye`);
    if (frame.type !== "bye") {
      check(frame.type === "welcome" ? !this.session : this.session, () => `${this.#who}: ${frame.type} out of turn`);
      check(
        !this.#awaitsSnapshot || frame.type === "snapshot" || frame.type === "welcome",
        () => `${this.#who}: no snapshot`,
      );
    }
    switch (frame.type) {
      case "welcome":
        return this.#welcome(frame, stamp);
      case "snapshot":
        return this.#snapshot(frame, era);
      case "pub":
        return this.#pub(frame, era);
      case "ack":
        return this.#oracle.acked(this, frame, stamp);
      case "presence":
        return this.#presence(frame, stamp);
      case "heartbeat":
        check(
          this.hasCredit || frame.offset <= this.#told || this.#syncs.length > 0,
          () => `${this.#who}: heartbeat at ${frame.offset}, told ${this.#told}`,
        );
        return;
      case "reply":
        return this.#reply(frame.ref);
      case "error":
        return this.#oracle.errored(this, frame, stamp);
      case "signal":
        return this.#signal(frame);
      case "bye":
        this.bye = frame.reason;
        return;
      case "epoch":
        return this.#enter(frame.epoch, era);
      case "goaway":
        return;
    }
  }

  sends(frame: ClientFrame): void {
    if (frame.type === "publish") this.#oracle.sent(this, frame);
    else if (frame.type === "call") this.#calls.set(frame.ref, (this.#calls.get(frame.ref) ?? 0) + 1);
    else if (frame.type === "sync") {
      this.#syncs.push(frame.offset);
      this.#acked = Math.max(this.#acked, frame.offset);
    } else if (frame.type === "ack") this.#acked = Math.max(this.#acked, frame.offset);
    else if (frame.type === "leave") {
      this.hasLeft = true;
      // It may be the session that it asked for, though no welcome has said so yet.
      const session = this.session ?? this.asked?.session;
      if (session !== undefined) this.#oracle.left(session);
    }
  }

  /** Nothing may be missing of what it was told is covered. */
  settle(): void {
    const { era } = this;
    if (!era) return;
    for (let offset = this.#from + 1; offset <= this.#position; offset++) {
      const known = era.at(offset);
      if (!known || this.#seen.has(offset) || !isFor(this.user, known)) continue;
      check(false, () => `${this.#who} missed ${offset} (${known.text}), told up to ${this.#position}`);
    }
  }

  get #who(): string {
    return `${this.user} (${this.session?.slice(0, 6) ?? "no session"})`;
  }

  #welcome(frame: Frame<"welcome">, stamp: Stamp): void {
    const { asked } = this;
    const { era, newest } = stamp;
    this.session = frame.session;
    this.expires = frame.expires;
    this.#epoch = frame.epoch;
    this.era = era;
    check(frame.member === this.user, () => `${this.user} was welcomed as ${frame.member}`);
    const isLate = this.#oracle.facts.hasRelays;
    check(
      isLate || frame.offset >= newest,
      () => `${this.#who}: welcome at ${frame.offset}, ${newest} was seen before`,
    );
    this.#oracle.welcomed(this, frame, stamp);
    this.members.clear();
    this.count = frame.count;
    this.#judgeMembers(frame.members);
    for (const { id } of frame.members) this.members.add(id);
    const isListed = this.#oracle.facts.presence === "list";
    check(
      this.members.has(this.user) === isListed,
      () => `${this.#who}: its own members are ${[...this.members].join()}`,
    );
    this.#judgeCount(frame.count);
    check(frame.resumed === (frame.reason === undefined), () => `${this.#who}: resumed and a reason`);
    if (!frame.resumed) {
      this.#awaitsSnapshot = true;
      check(frame.reason !== "new" || !asked, () => `${this.#who} asked to resume and is new`);
      return;
    }
    check(asked?.position && asked.session === frame.session, () => `${this.#who} resumed what it did not ask for`);
    this.#told = this.#position = this.#from = this.#acked = asked.position.offset;
    this.#oracle.reached(this.#epoch, this.#position);
  }

  /** What follows is of another epoch of the same history. */
  #enter(epoch: string, era: Era): void {
    check(this.#oracle.facts.hasRelays, () => `${this.#who}: another epoch, while it is connected to the room`);
    this.#epoch = epoch;
    this.#oracle.entered(epoch, era);
  }

  #snapshot(frame: Frame<"snapshot">, era: Era): void {
    this.#awaitsSnapshot = false;
    // Only the answer to a sync may be behind what was heard before it.
    if (this.#syncs.length === 0)
      check(frame.offset >= this.#told, () => `${this.#who}: snapshot at ${frame.offset} behind ${this.#told}`);
    else this.#syncs.shift();
    this.#told = this.#position = this.#from = frame.offset;
    this.#oracle.reached(this.#epoch, frame.offset);
    this.#acked = Math.max(this.#acked, frame.offset);
    this.#seen.clear();
    if (!Array.isArray(frame.data)) return;
    let last = 0;
    for (const item of frame.data as unknown as Publication[]) {
      check(
        item.offset > last && item.offset <= frame.offset,
        () => `${this.#who}: snapshot out of order at ${item.offset}`,
      );
      last = item.offset;
      this.#learn(item, era);
    }
  }

  #pub(frame: Frame<"pub">, era: Era): void {
    // A sync that had nothing to send is answered so.
    const isNothing = frame.upto === frame.from - 1 && this.#syncs.includes(frame.upto);
    check(isNothing || frame.upto >= frame.from, () => `${this.#who}: a pub from ${frame.from} up to ${frame.upto}`);
    if (isNothing || frame.from !== this.#told + 1) {
      const at = this.#syncs.indexOf(frame.from - 1);
      check(at >= 0, () => `${this.#who}: told up to ${this.#told}, then from ${frame.from}`);
      // A relay answers at once what it has, and asks its room for what it has not.
      if (this.#oracle.facts.hasRelays) this.#syncs.splice(at, 1);
      else this.#syncs.splice(0, at + 1);
    }
    if (this.hasCredit) {
      const unacked = frame.from - 1 - this.#acked;
      check(unacked < CREDIT_ITEMS_TOLD, () => `${this.#who} was fed ${unacked} past its ack`);
    }
    this.#told = frame.upto;
    let last = frame.from - 1;
    for (const item of frame.items) {
      check(
        item.offset > last && item.offset <= frame.upto,
        () => `${this.#who}: items out of order at ${item.offset}`,
      );
      last = item.offset;
      this.#learn(item, era);
      this.#seen.add(item.offset);
    }
    this.#position = Math.max(this.#position, frame.upto);
    this.#oracle.reached(this.#epoch, this.#position);
  }

  #learn(item: Publication, era: Era): void {
    const known = this.#oracle.history.learn(era, item.offset, textOf(item), item.by);
    check(isFor(this.user, known), () => `${this.#who} saw what was not for it: ${known.text}`);
  }

  #reply(ref: number): void {
    const waiting = this.#calls.get(ref) ?? 0;
    check(waiting > 0, () => `${this.#who}: a reply to no call, ref ${ref}`);
    this.#calls.set(ref, waiting - 1);
  }

  #signal(frame: Frame<"signal">): void {
    check(isAddressed(frame.data, this.user), () => `${this.#who} got a signal for others: ${textOf(frame)}`);
    if (frame.by === null || !this.#oracle.facts.hasHooks) return;
    const text = textOf(frame);
    const verdict = verdictOn(Number(/\d+/.exec(text)?.[0]));
    check(
      verdict === "rewritten" ? text.startsWith("SIGNAL") : verdict === "let be",
      () => `${this.#who} got a signal that the hook has ${verdict}: ${text}`,
    );
  }

  /** Nobody shows what the hook does not let through: it lets numbers from 3 on be, and adds 1,000 to a 2. */
  #judgeMembers(members: readonly Member[]): void {
    if (!this.#oracle.facts.hasHooks) return;
    const wrong = members.find(({ data }) => typeof data === "number" && data < 3);
    check(!wrong, () => `${this.#who} was shown ${JSON.stringify(wrong)}, which the hook does not let through`);
  }

  #judgeCount(count: number | undefined): void {
    const { presence } = this.#oracle.facts;
    // A member of a relay may hear of its own leave before its connection there has ended.
    const least = this.#oracle.facts.hasRelays ? 0 : 1;
    const isRight = presence === "count" ? count !== undefined && count >= least : count === undefined;
    check(isRight, () => `${this.#who} was told that ${count} are here, in a room that shows "${presence}"`);
  }

  /** Nobody comes who is here, and nobody goes who is not. */
  #presence(frame: Frame<"presence">, stamp: Stamp): void {
    const { presence } = this.#oracle.facts;
    check(presence !== "off", () => `${this.#who}: presence where there is none`);
    this.#judgeCount(frame.count);
    if (presence === "count") {
      this.count = frame.count;
      return check(Object.keys(frame).length === 2, () => `${this.#who}: more than a count: ${JSON.stringify(frame)}`);
    }
    this.#judgeMembers([...(frame.members ?? []), ...(frame.join ?? []), ...(frame.update ?? [])]);
    if (frame.members) {
      this.members.clear();
      for (const { id } of frame.members) this.members.add(id);
    }
    for (const { id } of frame.join ?? []) {
      check(!this.members.has(id), () => `${this.#who} was told twice that ${id} came`);
      this.members.add(id);
    }
    for (const { id } of (frame.update ?? []) satisfies readonly Member[]) {
      check(this.members.has(id), () => `${this.#who}: ${id} changed without being here`);
    }
    for (const id of frame.leave ?? []) {
      check(this.members.delete(id), () => `${this.#who} was told twice that ${id} left`);
      this.#oracle.announcedLeave(id, stamp);
    }
  }
}

/** Signals say which users they are for. */
function isAddressed(data: unknown, user: string): boolean {
  const [, to = "*"] = String(data).toLowerCase().split("@");
  return to === "*" || to.split(",").includes(user);
}
