/**
 * Judges what the SDK told a program: every publication once and in order from one position to the next, each publish
 * settled once and truly, nothing missed behind a `resumed`.
 */
import { patience } from "../support/patience.ts";
import type { Event, Sort } from "./record.ts";
import { isLarge } from "./rooms.ts";
import { isBroken } from "./saying.ts";
import type { Truth } from "./truth.ts";
import type { About, Verdict } from "./verdict.ts";

/** One program. */
interface Program {
  readonly user: string;
  readonly truth: Truth;
  /** Raw clients note no items: their frames tell. */
  readonly sort: Sort;
  /** What it was handed last; `undefined` before it has any position. */
  at: number | undefined;
  /** The session it has, and the connection that told. */
  session: string | undefined;
  over: boolean;
  /** Whether it believes to be connected, and when it last heard anything or did something about it. */
  open: boolean;
  /** Whether its client is closed, until it is told to connect. */
  isClosed: boolean;
  alive: number;
  /** Whether it was connected when everything had settled. */
  isThere: boolean;
  /** Publishes that are not settled, with the session they were made in. */
  readonly pending: Map<string, string | undefined>;
}

/**
 * Longer than this, in ms, no program takes a silent line for a good one: the longest wait for a heartbeat here, the 10 s
 * after which the SDK asks, the 10 s that it gives the answer, and what a busy machine takes.
 */
const SILENCE_MS = 4_000 + 10_000 + 10_000 + patience(400);

type Of<W extends Event["what"]> = Extract<Event, { what: W }>;

/** Every program of a run. */
export class Programs {
  readonly #verdict: Verdict;
  readonly #truths: ReadonlyMap<string, Truth>;
  readonly #byClient = new Map<string, Program>();
  /** Clients that were welcomed to a session: more than one, when a tab was copied. */
  readonly #holders = new Map<string, Set<string>>();
  /** Sessions that an operator ended, whose holders may hear of it late: a `welcome` from before may still come first. */
  readonly #ended = new Set<string>();

  constructor(truths: ReadonlyMap<string, Truth>, verdict: Verdict) {
    this.#truths = truths;
    this.#verdict = verdict;
  }

  /** An operator ends the sessions of a user: what is not settled may be lost with them. */
  ended(ended: string, room: string): void {
    for (const program of this.#byClient.values()) {
      if (program.user !== ended || program.truth.room !== room) continue;
      if (program.session !== undefined) this.#ended.add(program.session);
      program.session = undefined;
    }
  }

  begin({ client, user, room, sort }: Of<"begin">): void {
    const truth = this.#truths.get(room);
    if (!truth) return;
    const fresh = {
      at: undefined,
      session: undefined,
      over: false,
      open: false,
      isClosed: false,
      alive: 0,
      isThere: false,
    };
    this.#byClient.set(client, { user, truth, sort, ...fresh, pending: new Map() });
  }

  over(client: string): void {
    const program = this.#byClient.get(client);
    if (program) program.over = true;
  }

  /** A connection was made from a position and welcomed to a session. */
  welcomed(client: string, session: string, position: number | undefined): void {
    const program = this.#byClient.get(client);
    if (!program) return;
    program.session = session;
    this.#holders.set(session, (this.#holders.get(session) ?? new Set()).add(client));
    // A duplicated tab begins where the copied store says.
    if (program.sort === "sdk") program.at ??= position;
  }

  /** Something was heard, or a connection begins or ends. */
  stirs(client: string, at: number): void {
    const program = this.#byClient.get(client);
    if (program) program.alive = at;
  }

  state({ client, name, t }: Of<"state">): void {
    const program = this.#byClient.get(client);
    if (!program) return;
    program.open = name === "open";
    program.isClosed = name === "closed";
    program.alive = t;
  }

  say({ client, data, t }: Of<"say">): void {
    const program = this.#byClient.get(client);
    if (program?.open && t - program.alive > SILENCE_MS) {
      const text = `${client} has heard nothing for ${Math.round(t - program.alive)} ms and believes to be connected`;
      this.#verdict.violated("stuck", text, { client, room: program.truth.room });
      // Once for each silence.
      program.alive = t;
    }
    program?.pending.set(data, program.session);
    this.#verdict.count("publishes");
    if (client.endsWith("post")) this.#verdict.count("posts");
  }

  settled({ client, data, offset }: Of<"settled">): void {
    const program = this.#byClient.get(client);
    if (!program) return;
    const wrong = (what: string) =>
      this.#verdict.violated("ack", `${client}: ${data} ${what}`, { client, room: program.truth.room, offset, data });
    if (!program.pending.delete(data)) wrong("settled without being asked for, or twice");
    const said = program.truth.at(offset);
    if (said?.data !== data || said.by !== program.user) wrong(`settled at ${offset}, where ${said?.data} is`);
    this.#verdict.count("publishes acked");
  }

  failed({ client, data, code }: Of<"failed">): void {
    const program = this.#byClient.get(client);
    if (!program) return;
    const { truth, pending, over, isClosed } = program;
    const wrong = (what: string) =>
      this.#verdict.violated("ack", `${client}: ${data} failed with ${code}, ${what}`, {
        client,
        room: truth.room,
        data,
      });
    const madeIn = pending.get(data);
    if (!pending.delete(data)) wrong("and was settled before or never asked for");
    this.#verdict.count(`failed ${code}`);
    // Another holder of the session, such as a copied tab, may have published since; a refused publish's ref is stale
    // once a higher one took effect. Then the room cannot say what became of it.
    const isShared = (this.#holders.get(madeIn ?? "")?.size ?? 0) > 1;
    if (code === "outcome_unknown") {
      const isOver = madeIn !== program.session || over || this.#ended.has(madeIn ?? "");
      if (madeIn !== undefined && !isOver && !isShared && !isBroken(data)) wrong("though the session goes on");
      return;
    }
    // What the SDK calls outcome_unknown then, a raw client hears as it is.
    const isStale = code === "stale_ref" && (isShared || isBroken(data));
    const isRefused = isBroken(data) && code === "hook_failed";
    if (!isRefused && !isStale && code !== "outbox_full" && !(code === "closed" && (over || isClosed)))
      wrong("for no reason");
    const said = truth.of(data);
    if (said) wrong(`and took effect at ${said.offset}`);
  }

  item({ client, offset, by, data }: Of<"item">): void {
    const program = this.#byClient.get(client);
    if (!program) return;
    const { truth, user, at } = program;
    const about: About = { client, room: truth.room, offset };
    const wrong = (promise: "order" | "loss" | "double", what: string) =>
      this.#verdict.violated(promise, `${client}: ${what}`, about);
    this.#verdict.count("handed over");
    const said = truth.at(offset);
    if (at === undefined) wrong("order", `was handed ${data} at ${offset} before any position`);
    else if (offset === at) wrong("double", `was handed ${data} at ${offset} twice`);
    else if (offset < at) wrong("order", `was handed ${data} at ${offset} after ${at}`);
    else this.#missed(program, at + 1, offset - 1, about);
    if (said?.data !== data || said.by !== by)
      wrong("loss", `was handed ${data} at ${offset}, stored is ${said?.data}`);
    else if (said && ![...truth.visible(offset, offset, user)].length) {
      this.#verdict.violated("foreign", `${client}: ${user} was handed ${data}`, about);
    }
    program.at = offset;
  }

  reset({ client, offset }: Of<"reset">): void {
    const program = this.#byClient.get(client);
    if (program) program.at = offset;
  }

  resumed({ client, offset }: Of<"resumed">): void {
    const program = this.#byClient.get(client);
    if (!program) return;
    const about: About = { client, room: program.truth.room, offset };
    if (program.at === undefined) {
      this.#verdict.violated("resume", `${client} was told resumed and has no position`, about);
    } else if (offset < program.at) {
      this.#verdict.violated("resume", `${client} resumed at ${offset} and had been at ${program.at}`, about);
    } else this.#missed(program, program.at + 1, offset, about);
    program.at = Math.max(offset, program.at ?? 0);
  }

  /** At the end: nobody is present who is not connected. */
  judgePresent(): void {
    const connected = new Map<Truth, Set<string>>();
    for (const { truth, user, isThere } of this.#byClient.values()) {
      if (isThere) connected.set(truth, (connected.get(truth) ?? new Set()).add(user));
    }
    for (const [truth, users] of connected) {
      const { room } = truth;
      for (const [user] of truth.members) {
        if (users.has(user)) continue;
        this.#verdict.violated("presence", `${room}: ${user} is a member and has no connection`, { room, user });
      }
    }
  }

  /** At the end: it is there, has everything, and owes nothing. */
  final(event: Of<"final">): void {
    const { client, open, position, pending, members, count } = event;
    const program = this.#byClient.get(client);
    if (!program) return;
    const { truth, user } = program;
    const { room } = truth;
    const about: About = { client, room, offset: position };
    const stuck = (what: string) => this.#verdict.violated("stuck", `${client} ${what}`, about);
    if (!open) return stuck("is not connected at the end");
    program.isThere = true;
    if (position < truth.head) stuck(`is at ${position} at the end, the room at ${truth.head}`);
    if (pending > 0) stuck(`has ${pending} publishes unanswered at the end`);
    if (program.at !== undefined) this.#missed(program, program.at + 1, position, about);
    if (isLarge(room)) {
      const isRight = count === truth.members.length && members.length === 0;
      const shown = members.length > 0 ? members.join("; ") : `${count} members`;
      const text = `${client} shows ${shown}, the room has ${truth.members.length}`;
      if (!isRight) this.#verdict.violated("presence", text, { ...about, user });
      return;
    }
    const real = truth.members.map(([id, data]) => `${id} ${data}`).toSorted();
    if (members.toSorted().join("\n") !== real.join("\n")) {
      const text = `${client} shows ${members.join("; ")}, the room has ${real.join("; ")}`;
      this.#verdict.violated("presence", text, { ...about, user });
    }
  }

  #missed({ truth, user }: Program, from: number, upto: number, { client, room }: About): void {
    for (const { offset, data } of truth.visible(from, upto, user)) {
      this.#verdict.violated("loss", `${client} was never handed ${data} at ${offset}`, { client, room, offset });
    }
  }
}
