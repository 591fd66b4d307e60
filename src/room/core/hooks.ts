/**
 * Runs the user's code: what a hook sees, what it may ask for, and what its throw undoes. A hook's own SQL runs in a nested
 * transaction. What it asks of the room is checked while it can still be told, queued on the turn, and done in the same
 * transaction as the event: a hook and everything it asked for commit together or not at all.
 */
import { exceeds, isRecipients } from "../../protocol/codec.ts";
import type { Json, Member, Publication } from "../../protocol/frames.ts";
import { MAX_ITEM_BYTES, MAX_MESSAGE_BYTES, MAX_RECIPIENTS } from "../../protocol/limits.ts";
import type { Data } from "../../protocol/room-types.ts";
import { Rejection, type Addressed, type HookFailure, type Outcome, type RoomContext } from "../definition.ts";
import { everyone } from "../store/members.ts";
import type { Continuation, RoomState } from "../store/state.ts";
import { MAX_TIMER_NAME, MAX_TIMERS } from "../store/timers.ts";
import type { Command } from "./event.ts";
import type { Turn } from "./turn.ts";

/** Bytes that {@link RoomContext.recent} returns, at most; it travels in one welcome. */
const RECENT_BYTES = 262_144;
/** UTF-16 units of data in what one hook asks for, at most: as much as a tick says to single connections. */
const MAX_ASKED = 8_388_608;
/** Hooks that may set off one another: a kick runs `onLeave`, which may kick. */
const MAX_DEPTH = 8;

/** What a publication of the room's has besides its data and its recipients, in bytes at most. */
const ITEM_HEAD_BYTES = 1_024;
/** Hooks that nobody waits for who could be refused. */
const CANNOT_REFUSE: ReadonlySet<string> = new Set(["snapshot", "onLeave", "onTimer", "defer"]);

/** What came of a hook. */
export type HookResult<T> =
  { readonly ok: true; readonly value: Exclude<T, Rejection> } | ({ readonly ok: false } & HookFailure);

/**
 * Runs a hook. A {@link Rejection}, returned or thrown, is a refusal with its own text. Any other throw is a failure: it is
 * reported, and the client learns nothing but that it happened.
 *
 * @param source names the hook in failures
 */
export function runHook<T>(turn: Turn, source: string, hook: (room: RoomContext) => T): HookResult<T> {
  const context = new HookContext(turn);
  let isHookRunning = false;
  try {
    const value = turn.state.atomic(() => {
      isHookRunning = true;
      const returned = hook(context);
      if (returned instanceof Rejection) throw returned;
      assertSynchronous(returned);
      isHookRunning = false;
      return returned as Exclude<T, Rejection>;
    });
    turn.ask(context.requests);
    return { ok: true, value };
  } catch (error) {
    // The storage failed, and not the hook: what it did in memory cannot stand, so the whole event is undone.
    if (!isHookRunning) throw error;
    if (error instanceof Rejection && !CANNOT_REFUSE.has(source)) {
      const { message, retryAfter } = error;
      return { ok: false, code: "rejected", message, ...(retryAfter !== undefined && { retryAfter }) };
    }
    const cause = error instanceof Rejection ? new Error(`${source} cannot reject: ${error.message}`) : error;
    turn.fail({ code: "hook_failed", source, error: cause });
    return { ok: false, code: "hook_failed" };
  } finally {
    context.end();
  }
}

class HookContext implements RoomContext {
  readonly requests: Command[] = [];
  readonly kind: string;
  readonly name: string;
  readonly now: number;
  readonly #state: RoomState;
  readonly #depth: number;
  readonly #limit: number;
  #isOpen = true;
  #asked = 0;

  constructor({ state, now, depth, requestsLeft }: Turn) {
    const { kind, name } = state.name;
    this.kind = kind;
    this.name = name;
    this.now = now;
    this.#state = state;
    this.#depth = depth;
    this.#limit = requestsLeft;
  }

  get offset(): number {
    return this.#state.log.head;
  }

  get sql(): SqlStorage {
    this.#check();
    return this.#state.sql;
  }

  members(): Member[] {
    return everyone(this.#state);
  }

  recent(limit: number, me?: { readonly id: string }): Publication[] {
    return this.#state.replay.recent({ limit, maxBytes: RECENT_BYTES, user: me?.id });
  }

  publish(data: Data, options: { to?: readonly string[] | undefined } = {}): void {
    const publication = { data: this.#plain(data), ...recipients(options) };
    // Here, where the throw is the hook's own: later the whole event would be undone for it.
    if (publication.to && exceeds(JSON.stringify(publication), MAX_ITEM_BYTES - ITEM_HEAD_BYTES)) {
      throw new RangeError("data and recipients together are larger than 1 MiB");
    }
    this.#ask({ type: "publish", ...publication });
  }

  signal(data: Data, options: { to?: readonly string[] | undefined } = {}): void {
    this.#ask({ type: "signal", data: this.#plain(data), ...recipients(options) });
  }

  kick(user: string): void {
    if (typeof user !== "string") throw new TypeError("kick takes the id of a user");
    if (this.#depth >= MAX_DEPTH) throw new RangeError(`hooks may set off one another ${MAX_DEPTH} times in a row`);
    this.#ask({ type: "kick", user });
  }

  schedule(name: string, when: number, data: Data = null): void {
    timerName(name);
    if (!Number.isFinite(when)) throw new TypeError("schedule takes a moment in ms since the epoch");
    if (this.#state.timers.size >= MAX_TIMERS && !this.#state.timers.get(name)) {
      throw new RangeError(`a room holds at most ${MAX_TIMERS} timers`);
    }
    this.#ask({ type: "schedule", name, due: Math.max(this.now, Math.round(when)), data: this.#plain(data) });
  }

  cancel(name: string): void {
    timerName(name);
    this.#ask({ type: "cancel", name });
  }

  defer<T>(work: () => Promise<T>, then?: (room: RoomContext, outcome: Outcome<T>) => void): void {
    if (typeof work !== "function") throw new TypeError("defer takes a function that returns a promise");
    // Sound: it only ever gets what this `work` resolved to.
    this.#ask({ type: "defer", work, followUp: then as Continuation | undefined });
  }

  /** After its hook a context is dead: asking it later would change the room outside of any transaction. */
  end(): void {
    this.#isOpen = false;
  }

  #ask(command: Command): void {
    this.#check();
    if (this.requests.length >= this.#limit) {
      throw new RangeError("the hooks of one event may ask the room for at most 1,000 things");
    }
    this.requests.push(command);
  }

  /**
   * What JSON makes of a value, now: a throw here is the hook's own, and later changes to the object change nothing.
   *
   * @throws TypeError when JSON cannot carry it
   * @throws RangeError when it is larger than any message may be, or everything together is too much
   */
  #plain(data: Data): Json {
    const text = carried(data);
    this.#asked += text.length;
    if (this.#asked > MAX_ASKED) throw new RangeError("one hook may ask for at most 8 MiB of data");
    return JSON.parse(text) as Json;
  }

  #check(): void {
    if (!this.#isOpen) throw new Error("this hook has returned: use the context that a later hook is given");
  }
}

function carried(data: unknown): string {
  const text: string | undefined = JSON.stringify(data);
  if (text === undefined) throw new TypeError("data must be something that JSON can carry");
  if (exceeds(text, MAX_MESSAGE_BYTES)) throw new RangeError("data is larger than 1 MiB");
  return text;
}

function recipients({ to }: { to?: readonly string[] | undefined }): { to?: readonly string[] } {
  if (to === undefined) return {};
  if (!isRecipients(to)) throw new TypeError(`to is an array of 1 to ${MAX_RECIPIENTS} user ids`);
  return { to: [...to] };
}

function timerName(name: string): void {
  if (typeof name === "string" && name.length > 0 && name.length <= MAX_TIMER_NAME) return;
  throw new TypeError(`a timer's name is text of 1 to ${MAX_TIMER_NAME} characters`);
}

/**
 * What a hook returned to the room, if JSON can carry it.
 *
 * @throws TypeError, undone with the hook, when it cannot
 */
export function writable<T>(value: T): T {
  assertSynchronous(value);
  if (typeof value === "object") JSON.stringify(value);
  return value;
}

/**
 * What a hook returned for one client, if it is no larger than a message may be.
 *
 * @throws TypeError or RangeError, undone with the hook, when it is not
 */
export function sendable<T>(value: T): T {
  assertSynchronous(value);
  if (typeof value === "object" || typeof value === "string") carried(value);
  return value;
}

/** The recipients of something as a hook sees them: its own copy, so that it cannot change them. */
export function addressed(to: readonly string[] | undefined): Addressed {
  return to === undefined ? {} : { to: [...to] };
}

function assertSynchronous(value: unknown): void {
  const isThenable = typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
  if (isThenable) throw new TypeError("hooks are synchronous: asynchronous work goes through room.defer");
}
