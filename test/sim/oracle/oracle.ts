/**
 * What must be true of any room, whatever it is made of: judged only by what clients sent and were told, and by what the
 * simulation did to the room. Calls no code of the room.
 */
import type { ClientFrame, ServerFrame } from "../../../src/protocol/frames.ts";
import { Ear, type Asked } from "./ear.ts";
import type { Facts } from "./facts.ts";
import { check, History, textOf, type Era, type Stamp } from "./history.ts";

type Frame<T extends ServerFrame["type"]> = Extract<ServerFrame, { type: T }>;

/** What is known of a session. */
interface SessionStory {
  readonly user: string;
  /** The era in which it was first heard of. */
  readonly era: Era;
  /** Something may have ended it: a leave, a kick, a revocation. */
  mayBeOver: boolean;
  /** When a connection of it was last known to be open, in ms of the simulation. */
  lastOpen: number;
}

/** A publish frame as the room may remember it. */
interface SentPublish {
  /** The texts that were sent under this ref. Honest clients send one. */
  readonly texts: Set<string>;
  readonly by: string;
  taken: { readonly era: Era; readonly offset: number; readonly at: number } | undefined;
}

/** How late a relay may be, in ms: the longest pause between two tries to reach its room, and the tries. */
const LATE = 45_000;

/** Codes of errors after which a publish certainly took no effect. */
const WITHOUT_EFFECT = new Set(["rejected", "forbidden", "hook_failed", "internal", "storage_failed", "bad_frame"]);

/** The judge of one simulation. */
export class Oracle {
  readonly history = new History();
  readonly facts: Facts;
  readonly ears: Ear[] = [];
  readonly #sessions = new Map<string, SessionStory>();
  readonly #sent = new Map<string, SentPublish>();
  /** To which era an epoch belongs, as its first welcome said, and how far anybody came in it. */
  readonly #epochs = new Map<string, { readonly era: Era; readonly heardAt: number; reached: number }>();
  /** When a user was last kicked or revoked: what was sent before may be heard after. */
  readonly #ousted = new Map<string, number>();
  readonly #now: () => number;
  /** The clock was moved, or alarms and rows were lost on purpose: windows cannot be judged by time. */
  isTimeUnsure = false;
  /** Frames that were judged. */
  judged = 0;

  /** @param now time since the simulation began, in ms */
  constructor(facts: Facts, now: () => number) {
    this.facts = facts;
    this.#now = now;
  }

  /** A client connects. */
  listen(user: string, asked: Asked | undefined, hasCredit: boolean): Ear {
    const ear = new Ear(this, user, asked, hasCredit);
    this.ears.push(ear);
    return ear;
  }

  /** A session was ended by its owner. */
  left(session: string): void {
    const story = this.#sessions.get(session);
    if (story) story.mayBeOver = true;
  }

  /** Sessions of a user may be taken over by a client that is gone. */
  lost(user: string): void {
    for (const story of this.#sessions.values()) if (story.user === user) story.mayBeOver = true;
  }

  /** A user was kicked or revoked, or is about to be. */
  ousted(user: string): void {
    this.#ousted.set(user, this.#now());
    this.lost(user);
  }

  /** What the world knows now. */
  get stamp(): Stamp {
    const { era } = this.history;
    return { era, newest: era.newest, at: this.#now() };
  }

  /** The connection of a session was open at this moment. */
  sawOpen(ear: Ear, at: number): void {
    const story = ear.session === undefined ? undefined : this.#sessions.get(ear.session);
    if (story) story.lastOpen = Math.max(story.lastOpen, at);
  }

  /** A session got a token that ends later, or may have. */
  refreshed(session: string): void {
    for (const ear of this.ears) if (ear.session === session) ear.expires = Infinity;
  }

  /** Somebody was told at `at` that a user is not here any more: not before the grace of its last drop was over. */
  announcedLeave(user: string, { era, at }: Stamp): void {
    const { grace, maxConnectionsPerUser } = this.facts;
    if (this.isTimeUnsure || this.ears.filter((ear) => ear.user === user).length > maxConnectionsPerUser) return;
    for (const story of this.#sessions.values()) {
      if (story.user !== user || story.mayBeOver || story.era !== era || story.lastOpen >= at) continue;
      check(
        story.lastOpen + grace <= at,
        () => `${user} was open ${at - story.lastOpen} ms before its leave, the grace is ${grace}`,
      );
    }
  }

  sent(ear: Ear, frame: Extract<ClientFrame, { type: "publish" }>): void {
    const key = `${ear.session} ${frame.ref}`;
    const text = textOf(frame);
    const known = this.#sent.get(key);
    if (known) known.texts.add(text);
    else this.#sent.set(key, { texts: new Set([text]), by: ear.user, taken: undefined });
  }

  acked(ear: Ear, frame: Frame<"ack">, { era, at }: Stamp): void {
    const sent = this.#sent.get(`${ear.session} ${frame.ref}`);
    check(sent, () => `${ear.user} got an ack for a ref that its session never sent: ${frame.ref}`);
    const { taken } = sent;
    const isKept = taken && era.includes(taken.era, taken.offset);
    check(
      !isKept || taken.offset === frame.offset,
      () => `ref ${frame.ref} of ${ear.user} was acked at ${taken?.offset} and ${frame.offset}`,
    );
    sent.taken = { era, offset: frame.offset, at };
    const [text, ...others] = sent.texts;
    if (text === undefined || others.length > 0) return;
    this.history.learn(era, frame.offset, this.stored(text), ear.user);
  }

  errored(ear: Ear, frame: Frame<"error">, { at }: Stamp): void {
    if (frame.ref === undefined) return;
    const sent = this.#sent.get(`${ear.session} ${frame.ref}`);
    check(sent, () => `${ear.user} got an error for a ref that was never sent: ${frame.ref}`);
    if (!WITHOUT_EFFECT.has(frame.code)) return;
    const { taken } = sent;
    // On a slow line the refusal of a first try can arrive when a later one was acknowledged on another.
    const isKept = taken && taken.at < at && this.history.era.includes(taken.era, taken.offset);
    check(
      !isKept,
      () => `ref ${frame.ref} of ${ear.user} took effect at ${taken?.offset} and was refused later: ${frame.code}`,
    );
  }

  welcomed(ear: Ear, frame: Frame<"welcome">, { era, at }: Stamp): void {
    const { session, epoch } = frame;
    const story = this.#sessions.get(session);
    check(!story || story.user === ear.user, () => `${ear.user} got the session of ${story?.user}`);
    if (!story)
      this.#sessions.set(session, {
        user: ear.user,
        era,
        // A relay may let somebody in that the room has admitted and kicked since.
        mayBeOver: at <= (this.#ousted.get(ear.user) ?? -Infinity) + (this.facts.hasRelays ? LATE : 0),
        lastOpen: at,
      });
    if (ear.hasLeft) this.left(session);
    const { asked } = ear;
    if (asked) this.#judgeResume(ear, asked, frame, era);
    this.entered(epoch, era);
  }

  /** A connection has heard of an epoch. */
  entered(epoch: string, era: Era): void {
    if (!this.#epochs.has(epoch)) this.#epochs.set(epoch, { era, reached: 0, heardAt: this.#now() });
  }

  /** A connection of this epoch has everything up to an offset. */
  reached(epoch: string, offset: number): void {
    const known = this.#epochs.get(epoch);
    if (known) known.reached = Math.max(known.reached, offset);
  }

  /** What the room makes of a text that is published: its hook shouts some. */
  stored(text: string): string {
    return this.facts.hasHooks && text.startsWith("up ") ? text.toUpperCase() : text;
  }

  #judgeResume(ear: Ear, asked: Asked, frame: Frame<"welcome">, era: Era): void {
    const { position } = asked;
    const of = position && this.#epochs.get(position.epoch);
    const isOurs = position && of && era.includes(of.era, position.offset);
    // Nobody has a position that no connection of its epoch ever had.
    const isHonest = of && position.offset <= of.reached;
    // An epoch that began after the copy is not in it, though everything that was said in it may be.
    const isKept = of && (of.era === era || of.heardAt <= era.copiedAt);
    const who = `${ear.user} at ${position?.offset}`;
    if (frame.resumed) {
      check(!position || !of || isOurs, () => `${who} resumed in a history that its position is not of`);
      check(position && position.offset <= frame.offset, () => `${who} resumed ahead of the room at ${frame.offset}`);
      return;
    }
    const missed = position ? frame.offset - position.offset : 0;
    switch (frame.reason) {
      case "log_trimmed":
        return check(missed > this.facts.retain, () => `${who} missed ${missed}, the room keeps ${this.facts.retain}`);
      case "epoch_changed":
        return check(
          !isOurs || !isHonest || !isKept || missed > this.facts.retain,
          () => `${who} was told that the history changed, and it did not`,
        );
      case "offset_ahead":
        return check(missed < 0, () => `${who} was told that it is ahead of ${frame.offset}`);
      case "session_unknown":
        return this.#judgeUnknown(ear, asked.session, era);
      case "no_position":
        return check(!position, () => `${who} was told that it has no position`);
      case "new":
      case "too_far":
      case undefined:
    }
  }

  #judgeUnknown(ear: Ear, session: string, era: Era): void {
    const story = this.#sessions.get(session);
    if (!story || story.user !== ear.user || story.mayBeOver || this.isTimeUnsure) return;
    // After a restore only what the copy had is known.
    if (story.era !== era) return;
    if (this.#now() - story.lastOpen > this.facts.resumeWindow / 2) return;
    // Each of them may have opened a session that nobody heard of; too many dropped ones push the oldest out.
    const mine = this.ears.filter(({ user }) => user === ear.user).length;
    if (mine > this.facts.maxConnectionsPerUser) return;
    check(false, () => `${ear.user}'s session was forgotten ${this.#now() - story.lastOpen} ms after it was open`);
  }
}
