/**
 * Events on their way out of the room: written in the transaction they happened in, delivered in their order, one batch
 * at a time, until the outlet has taken them. Owns edgerooms_outbox and edgerooms_dead. Knows no network: it says what to
 * deliver, and is told what came of it.
 */
import type { CodeName } from "../../protocol/codes.ts";
import type { Batch, OutEvent } from "../outlet.ts";

/** A batch that was given up. */
export interface DeadLetter {
  readonly id: string;
  /** When it happened, in ms since the epoch. */
  readonly at: number;
  readonly tries: number;
  /** Why the last delivery failed. */
  readonly error: string;
  /** How many events it has. */
  readonly events: number;
}

/** A dead letter with everything that is in it. */
export type DeadBatch = Omit<DeadLetter, "events"> & { readonly events: readonly OutEvent[] };

/** The batch that is tried again and again: it holds up all that came after it. */
export interface Stuck extends Omit<DeadLetter, "error"> {
  /** When it is tried next, in ms since the epoch. */
  readonly nextTry: number;
}

/** What does not reach the outlet: batches that were given up, and those behind one that has failed for minutes. */
export interface Undelivered {
  readonly dead: number;
  readonly pending: number;
}

/** What came of a delivery. */
export type Delivered =
  { readonly ok: true } | { readonly ok: false; readonly code: CodeName; readonly final: boolean };

/** What a batch has become. `skipped`: an operator set it aside while it was being delivered. */
export type Settled = "delivered" | "failed" | "dead" | "skipped";

/** An event before it has its id, as the rest of a JSON object: `"type":"leave",...}`. */
export type NewEvent = string;

/** UTF-16 units of events in one row, at most, unless one event is longer; the platform's limit is 2 MB. */
const BATCH_LENGTH = 524_288;
/** Up to so many units later ticks join a batch that waits: a busy room has more ticks than a receiver has answers. */
const JOIN_LENGTH = 65_536;
/** Batches that may wait; about half of the platform's 10 GB if every one is as long as may be. Past it the oldest die. */
const MAX_PENDING = 10_000;
/** Dead letters kept; the oldest are forgotten. */
export const MAX_DEAD = 1_000;
/** Failed deliveries of the oldest batch after which the operator should know: about eight and a half minutes. */
const STUCK_TRIES = 10;
/** When the alarm looks after a delivery of which nothing was heard: the object was killed meanwhile. */
const LEASE_MS = 60_000;
/** UTF-16 units that an event's id takes in a row, at most. */
const ID_LENGTH = 48;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 300_000;
/** Deliveries after which a batch is given up: about a day after the first. */
const MAX_TRIES = 296;

interface Waiting {
  readonly seq: number;
  readonly tries: number;
  readonly due: number;
}

/** The outbox of one room. */
export class Outbox {
  readonly #sql: SqlStorage;
  /** In their order. */
  readonly #waiting: Waiting[] = [];
  #last = 0;
  #dead = 0;
  /** The batch that is being delivered. */
  #inFlight: { readonly seq: number; readonly id: string } | undefined;
  /** The newest batch while events can join it: this instance wrote it, so that nobody was ever handed it as it is. */
  #open: { readonly seq: number; readonly id: string; readonly count: number; readonly length: number } | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    for (const row of sql.exec("SELECT seq, tries, due FROM edgerooms_outbox ORDER BY seq")) {
      this.#waiting.push({ seq: row["seq"] as number, tries: row["tries"] as number, due: row["due"] as number });
    }
    this.#last = this.#waiting.at(-1)?.seq ?? 0;
    for (const row of sql.exec("SELECT count(*) AS n, max(seq) AS last FROM edgerooms_dead")) {
      this.#dead = row["n"] as number;
      this.#last = Math.max(this.#last, (row["last"] as number | null) ?? 0);
    }
  }

  /** Batches that wait, and the oldest one's deliveries so far and next moment. */
  get status(): { pending: number; dead: number; tries: number; nextTry?: number } {
    const [oldest] = this.#waiting;
    return {
      pending: this.#waiting.length,
      dead: this.#dead,
      tries: oldest?.tries ?? 0,
      ...(oldest && { nextTry: oldest.due }),
    };
  }

  /** What an operator must do something about. */
  get undelivered(): Undelivered {
    const isStuck = (this.#waiting[0]?.tries ?? 0) >= STUCK_TRIES;
    return { dead: this.#dead, pending: isStuck ? this.#waiting.length : 0 };
  }

  /** The oldest batch, if a delivery of it has failed. */
  get stuck(): Stuck | undefined {
    const [oldest] = this.#waiting;
    if (!oldest || oldest.tries === 0) return undefined;
    const row = this.#sql.exec("SELECT id, at, count FROM edgerooms_outbox WHERE seq = ?", oldest.seq).one();
    return {
      id: row["id"] as string,
      at: row["at"] as number,
      tries: oldest.tries,
      events: row["count"] as number,
      nextTry: oldest.due,
    };
  }

  /** When the alarm must look; `undefined` when nothing waits. */
  get next(): number | undefined {
    return this.#waiting[0]?.due;
  }

  /**
   * Puts the events of a tick into the outbox, in one row unless they are more than {@link BATCH_LENGTH}. Returns how
   * many older batches had to be given up for them.
   *
   * @param id of the tick: its batches are named after it
   */
  add(events: readonly NewEvent[], now: number, id: string): number {
    let from = 0;
    let length = 0;
    let nth = 0;
    for (const [i, text] of events.entries()) {
      if (i > from && length + text.length > BATCH_LENGTH) {
        this.#write(events.slice(from, i), length, now, `${id}-${nth++}`);
        from = i;
        length = 0;
      }
      length += text.length + ID_LENGTH;
    }
    this.#write(events.slice(from), length, now, `${id}-${nth}`);
    let given = 0;
    while (this.#waiting.length > MAX_PENDING) {
      // Never the one that is being delivered: it may be taken this very moment.
      const at = this.#waiting[0]?.seq === this.#inFlight?.seq ? 1 : 0;
      const [oldest] = this.#waiting.splice(at, 1);
      if (oldest) this.#bury(oldest, "overflow");
      given++;
    }
    return given;
  }

  /** The batch to deliver now, if none is being delivered and the oldest is not waiting to be tried again. */
  take(kind: string, room: string, now: number): Batch | undefined {
    const [oldest] = this.#waiting;
    if (!oldest) return undefined;
    if (this.#inFlight) {
      // Nobody has told of it in time, and nobody gains from an alarm that rings again and again until somebody does.
      if (oldest.due <= now) this.#waiting[0] = { ...oldest, due: now + LEASE_MS };
      return undefined;
    }
    // A new one need not wait for its lease: that is for when we are killed.
    if (oldest.tries > 0 && oldest.due > now) return undefined;
    const row = this.#sql.exec("SELECT id, at, events FROM edgerooms_outbox WHERE seq = ?", oldest.seq).one();
    const id = row["id"] as string;
    this.#inFlight = { seq: oldest.seq, id };
    if (this.#open?.seq === oldest.seq) this.#open = undefined;
    this.#waiting[0] = { ...oldest, due: now + LEASE_MS };
    return {
      id,
      kind,
      room,
      at: row["at"] as number,
      tries: oldest.tries,
      events: JSON.parse(`[${row["events"] as string}]`) as OutEvent[],
    };
  }

  /**
   * The batch of this id is the receiver's, or is not. Returns what it has become; nothing when it is not the one that
   * was taken last: a delivery may end after the memory of it was thrown away.
   */
  settle(id: string, outcome: Delivered, now: number): Settled | undefined {
    if (this.#inFlight?.id !== id) return undefined;
    const { seq: taken } = this.#inFlight;
    const at = this.#waiting.findIndex(({ seq }) => seq === taken);
    this.#inFlight = undefined;
    const batch = this.#waiting[at];
    if (!batch) return this.#settleSkipped(taken, outcome);
    if (outcome.ok) {
      this.#waiting.splice(at, 1);
      this.#sql.exec("DELETE FROM edgerooms_outbox WHERE seq = ?", batch.seq);
      return "delivered";
    }
    const tries = batch.tries + 1;
    if (outcome.final || tries >= MAX_TRIES) {
      this.#waiting.splice(at, 1);
      this.#bury({ ...batch, tries }, outcome.code);
      return "dead";
    }
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(batch.tries, 20));
    this.#waiting[at] = { seq: batch.seq, tries, due: now + wait };
    this.#sql.exec("UPDATE edgerooms_outbox SET tries = ?, due = ? WHERE seq = ?", tries, now + wait, batch.seq);
    return "failed";
  }

  /** The newest dead letters, newest first. */
  dead(limit: number): DeadLetter[] {
    const rows = this.#sql.exec(
      "SELECT id, at, tries, error, count FROM edgerooms_dead ORDER BY seq DESC LIMIT ?",
      limit,
    );
    return [...rows].map((row) => ({
      id: row["id"] as string,
      at: row["at"] as number,
      tries: row["tries"] as number,
      error: row["error"] as string,
      events: row["count"] as number,
    }));
  }

  /** The dead letter of this id, if there is one. */
  letter(id: string): DeadBatch | undefined {
    const query = "SELECT id, at, tries, error, events FROM edgerooms_dead WHERE id = ?";
    const [row] = this.#sql.exec(query, id).toArray();
    return (
      row && {
        id: row["id"] as string,
        at: row["at"] as number,
        tries: row["tries"] as number,
        error: row["error"] as string,
        events: JSON.parse(`[${row["events"] as string}]`) as OutEvent[],
      }
    );
  }

  /**
   * Dead letters wait again, behind what waits already, with the ids they had. Returns how many.
   *
   * @param id of one; absent: all of them
   */
  revive(now: number, id?: string): number {
    const due = now + LEASE_MS;
    const letters = this.#lettersOf(id);
    // Their events do not come into memory: all of them would not fit.
    for (const letter of letters) {
      const seq = ++this.#last;
      this.#sql.exec(
        `INSERT INTO edgerooms_outbox (seq, id, at, tries, due, count, events)
         SELECT ?, id, at, 0, ?, count, events FROM edgerooms_dead WHERE seq = ?`,
        seq,
        due,
        letter,
      );
      this.#waiting.push({ seq, tries: 0, due });
      this.#open = undefined;
    }
    return this.#forget(letters);
  }

  /**
   * Dead letters are forgotten: nobody will ever get their events. Returns how many.
   *
   * @param id of one; absent: all of them
   */
  drop(id?: string): number {
    return this.#forget(this.#lettersOf(id));
  }

  /**
   * Sets the oldest batch aside as a dead letter, so that the next has its turn. Returns whether it was the oldest. If it
   * is being delivered, the next waits for the end of that, and the receiver may get it after all.
   */
  skip(id: string): boolean {
    const [oldest] = this.#waiting;
    if (!oldest || this.#sql.exec("SELECT id FROM edgerooms_outbox WHERE seq = ?", oldest.seq).one()["id"] !== id) {
      return false;
    }
    this.#waiting.shift();
    if (this.#open?.seq === oldest.seq) this.#open = undefined;
    this.#bury(oldest, "skipped");
    return true;
  }

  /** A batch that was set aside while it was being delivered: it is no dead letter if the receiver has it. */
  #settleSkipped(seq: number, outcome: Delivered): Settled {
    if (!outcome.ok) return "skipped";
    const letters = this.#sql.exec("SELECT seq FROM edgerooms_dead WHERE seq = ?", seq).toArray();
    this.#forget(letters.map((row) => row["seq"] as number));
    return "delivered";
  }

  /** Where dead letters are, oldest first. */
  #lettersOf(id: string | undefined): number[] {
    const rows =
      id === undefined
        ? this.#sql.exec("SELECT seq FROM edgerooms_dead ORDER BY seq")
        : this.#sql.exec("SELECT seq FROM edgerooms_dead WHERE id = ?", id);
    return [...rows].map((row) => row["seq"] as number);
  }

  #forget(letters: readonly number[]): number {
    for (const seq of letters) this.#sql.exec("DELETE FROM edgerooms_dead WHERE seq = ?", seq);
    this.#dead -= letters.length;
    return letters.length;
  }

  /** Into the newest batch if they may join it, else into one of their own. One row written. */
  #write(added: readonly NewEvent[], length: number, now: number, newId: string): void {
    const open = this.#open && this.#open.length + length <= JOIN_LENGTH ? this.#open : undefined;
    const { seq, id, count, length: before } = open ?? { seq: ++this.#last, id: newId, count: 0, length: 0 };
    const events = added.map((text, i) => `{"id":"${id}.${count + i}",${text}`).join(",");
    if (open) {
      this.#sql.exec(
        "UPDATE edgerooms_outbox SET count = count + ?, events = events || ',' || ? WHERE seq = ?",
        added.length,
        events,
        seq,
      );
    } else {
      const due = now + LEASE_MS;
      this.#sql.exec(
        "INSERT INTO edgerooms_outbox (seq, id, at, tries, due, count, events) VALUES (?, ?, ?, 0, ?, ?, ?)",
        seq,
        id,
        now,
        due,
        added.length,
        events,
      );
      this.#waiting.push({ seq, tries: 0, due });
    }
    this.#open = { seq, id, count: count + added.length, length: before + length };
  }

  #bury({ seq, tries }: Waiting, error: string): void {
    this.#sql.exec(
      `INSERT INTO edgerooms_dead (seq, id, at, tries, error, count, events)
       SELECT seq, id, at, ?, ?, count, events FROM edgerooms_outbox WHERE seq = ?`,
      tries,
      error,
      seq,
    );
    this.#sql.exec("DELETE FROM edgerooms_outbox WHERE seq = ?", seq);
    if (++this.#dead <= MAX_DEAD) return;
    this.#sql.exec("DELETE FROM edgerooms_dead WHERE seq = (SELECT min(seq) FROM edgerooms_dead)");
    this.#dead--;
  }
}
