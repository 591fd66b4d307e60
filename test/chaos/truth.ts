/**
 * What really happened in a room, as its own tables tell after the run: every publication, who came and went. Read from
 * the Worker page by page; judged by itself where that needs no client.
 */
import { Epochs } from "./epochs.ts";
import { Relayed, type Opened } from "./relayed.ts";
import { addressees, authorOf } from "./saying.ts";
import { settingsOf } from "./rooms.ts";
import type { Verdict } from "./verdict.ts";

/** Where a room is. */
export interface Present {
  readonly head: number;
  readonly members: readonly (readonly [id: string, data: string])[];
}

/** One page of what happened in it. */
export interface TruthPage {
  readonly said: readonly (readonly [
    id: number,
    offset: number,
    by: string,
    session: string,
    data: string,
    at: number,
  ])[];
  /** What the room's log still has. */
  readonly kept: readonly (readonly [offset: number, data: string])[];
  readonly people: readonly (readonly [at: number, user: string, change: "join" | "leave"])[];
  /** What the room wrote down of its epochs, each time that it did. Absent in records of before. */
  readonly epochs?: readonly string[];
  readonly members: Present["members"];
}

/** One publication. */
export interface Said {
  readonly offset: number;
  readonly by: string;
  readonly session: string;
  readonly data: string;
  readonly at: number;
}

/** One room's truth. */
export class Truth {
  readonly room: string;
  readonly #said: Said[] = [];
  readonly #byOffset: (Said | undefined)[] = [];
  readonly #byData = new Map<string, Said>();
  readonly #lastOfSession = new Map<string, number>();
  readonly #kept: TruthPage["kept"];
  readonly #people: TruthPage["people"];
  readonly #members: Present["members"];
  /** The names of its history. */
  readonly epochs: Epochs;
  /** The connections that its relays opened. */
  readonly relayed: Relayed;
  #before: Truth | undefined;

  constructor(room: string, pages: readonly TruthPage[], opened: readonly Opened[] = []) {
    this.room = room;
    this.epochs = new Epochs(pages[0]?.epochs ?? []);
    this.relayed = new Relayed(opened);
    for (const page of pages) {
      for (const [, offset, by, session, data, at] of page.said) {
        const said = { offset, by, session, data, at };
        this.#said.push(said);
        this.#byOffset[offset] ??= said;
        if (!this.#byData.has(data)) this.#byData.set(data, said);
        this.#lastOfSession.set(session, at);
      }
    }
    this.#kept = pages[0]?.kept ?? [];
    this.#people = pages[0]?.people ?? [];
    this.#members = pages[0]?.members ?? [];
  }

  /** What the same room told before the crash that came last, when everyone was connected. */
  follows(before: Truth | undefined): void {
    this.#before = before;
  }

  /** The members who were here when everything had settled. */
  get members(): Present["members"] {
    return this.#before?.members ?? this.#members;
  }

  /** The newest offset. */
  get head(): number {
    return this.#said.at(-1)?.offset ?? 0;
  }

  get said(): readonly Said[] {
    return this.#said;
  }

  at(offset: number): Said | undefined {
    return this.#byOffset[offset];
  }

  of(data: string): Said | undefined {
    return this.#byData.get(data);
  }

  /** When a session last published; it was alive then. */
  lastOf(session: string): number | undefined {
    return this.#lastOfSession.get(session);
  }

  /** Whether a user may see it. */
  static visible({ by, data }: Said, user: string): boolean {
    const to = addressees(data);
    return to === undefined || by === user || to.includes(user);
  }

  /** What a user may see of a stretch of offsets, in order. */
  *visible(from: number, upto: number, user: string): Generator<Said> {
    for (let offset = from; offset <= upto; offset++) {
      const said = this.#byOffset[offset];
      if (said && Truth.visible(said, user)) yield said;
    }
  }

  /** What the room's own tables say of order, doubles and presence. `leavers`: users who left by themselves. */
  judge(verdict: Verdict, leavers: ReadonlySet<string>): void {
    const { room } = this;
    const last = new Map<string, number>();
    for (const [i, { offset, data }] of this.#said.entries()) {
      if (offset !== i + 1) {
        verdict.violated("order", `${room}: ${data} has offset ${offset} and is number ${i + 1}`, { room, offset });
        break;
      }
      const first = this.#byData.get(data);
      if (first && first.offset !== offset) {
        verdict.violated("double", `${room}: ${data} took effect at ${first.offset} and at ${offset}`, { room, data });
      }
      const author = authorOf(data);
      if (!author) continue;
      if (author.n < (last.get(author.name) ?? 0)) {
        const before = `${author.name}.${last.get(author.name)}`;
        verdict.violated("order", `${room}: ${data} at ${offset} comes after ${before}`, { room, data });
      }
      last.set(author.name, author.n);
    }
    for (const [offset, data] of this.#kept) {
      const said = this.at(offset);
      if (said?.data === data) continue;
      verdict.violated("loss", `${room}: the log has ${data} at ${offset}, published was ${said?.data}`, {
        room,
        offset,
      });
    }
    const keptTo = this.#kept.at(-1)?.[0] ?? 0;
    if (keptTo !== this.head) {
      verdict.violated("loss", `${room}: the log ends at ${keptTo}, published was up to ${this.head}`, { room });
    }
    for (const { offset, data } of this.#before?.said ?? []) {
      if (this.at(offset)?.data === data) continue;
      verdict.violated("loss", `${room}: ${data} at ${offset} was stored, and is not after a crash`, { room, offset });
    }
    this.#judgePeople(verdict, leavers);
  }

  /** Each member comes and goes by turns, and goes only when nothing of theirs was alive for the grace. */
  #judgePeople(verdict: Verdict, leavers: ReadonlySet<string>): void {
    const { room } = this;
    const { grace } = settingsOf(room);
    const here = new Set<string>();
    let i = 0;
    const lastSaid = new Map<string, number>();
    for (const [at, user, change] of this.#people) {
      for (; i < this.#said.length && (this.#said[i]?.at ?? 0) < at; i++) {
        const said = this.#said[i];
        // What comes over HTTP is no sign of a connection.
        if (said && said.session !== "") lastSaid.set(said.by, said.at);
      }
      if (change === "join") {
        if (here.has(user)) verdict.violated("presence", `${room}: ${user} joined twice`, { room, user });
        here.add(user);
        continue;
      }
      if (!here.delete(user)) verdict.violated("presence", `${room}: ${user} left twice`, { room, user });
      const alive = at - (lastSaid.get(user) ?? 0);
      if (!leavers.has(user) && alive < grace) {
        verdict.violated("presence", `${room}: ${user} published ${alive} ms before its leave was told`, {
          room,
          user,
        });
      }
    }
    const listed = this.#members.map(([id]) => id).toSorted();
    if (listed.join() !== [...here].toSorted().join()) {
      verdict.violated("presence", `${room}: lists ${listed.join()}, joined and not left are ${[...here].join()}`, {
        room,
      });
    }
  }
}
