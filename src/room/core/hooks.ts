/**
 * Runs the user's code: what a hook sees, what it may ask for, and what its throw undoes. A hook's own SQL runs in a
 * nested transaction; what it asks of the room is collected and applied by the caller after it returned.
 */
import type { Json, Member, Publication } from "../../protocol/frames.ts";
import { Rejection, type HookFailure, type Outcome, type RoomContext } from "../definition.ts";
import type { Command, Effect } from "./event.ts";
import type { FailureContext } from "../telemetry/failure.ts";
import { members } from "../store/members.ts";
import type { RoomState } from "../store/state.ts";

/** Bytes that {@link RoomContext.recent} returns, at most; it travels in one welcome. */
const RECENT_BYTES = 262_144;

/** What came of a hook; `commands` are what it asked the room to do. */
export type HookResult<T> =
  | { readonly ok: true; readonly value: Exclude<T, Rejection>; readonly commands: readonly Command[] }
  | ({ readonly ok: false } & HookFailure);

/**
 * Runs a hook. A {@link Rejection}, returned or thrown, is a refusal with its own text; any other throw is a failure
 * of which the client is told nothing but that it happened.
 *
 * @param where names the hook in failures
 * @param about on whose behalf it runs, if on anybody's
 */
export function runHook<T>(
  state: RoomState,
  now: number,
  effects: Effect[],
  where: string,
  hook: (room: RoomContext) => T,
  about: FailureContext = {},
): HookResult<T> {
  const context = new HookContext(state, now);
  try {
    const value = state.atomic(() => {
      const returned = hook(context);
      if (returned instanceof Rejection) throw returned;
      synchronous(returned);
      return returned as Exclude<T, Rejection>;
    });
    return { ok: true, value, commands: context.commands };
  } catch (error) {
    if (error instanceof Rejection) {
      const { message, retryAfter } = error;
      return { ok: false, code: "rejected", message, ...(retryAfter !== undefined && { retryAfter }) };
    }
    effects.push({ type: "failed", failure: { ...about, code: "hook_failed", where, error } });
    return { ok: false, code: "hook_failed" };
  } finally {
    context.end();
  }
}

class HookContext implements RoomContext {
  readonly commands: Command[] = [];
  readonly kind: string;
  readonly name: string;
  readonly now: number;
  readonly #state: RoomState;
  #open = true;

  constructor(state: RoomState, now: number) {
    const { kind, name } = state.name;
    this.kind = kind;
    this.name = name;
    this.now = now;
    this.#state = state;
  }

  get offset(): number {
    return this.#state.log.head;
  }

  get sql(): SqlStorage {
    this.#check();
    return this.#state.sql;
  }

  members(): Member[] {
    return members(this.#state.sessions);
  }

  recent(limit: number, me?: Member): Publication[] {
    return this.#state.log.recent(limit, RECENT_BYTES, me?.id);
  }

  publish(data: Json, options: { to?: readonly string[] | undefined } = {}): void {
    this.#ask({ type: "publish", data: plain(data), ...options });
  }

  signal(data: Json, options: { to?: readonly string[] | undefined } = {}): void {
    this.#ask({ type: "signal", data: plain(data), ...options });
  }

  kick(user: string): void {
    this.#ask({ type: "kick", user });
  }

  schedule(name: string, when: number, data: Json = null): void {
    if (!Number.isFinite(when)) throw new TypeError("schedule takes a moment in ms since the epoch");
    this.#ask({ type: "schedule", name, due: Math.max(this.now, Math.round(when)), data: plain(data) });
  }

  cancel(name: string): void {
    this.#ask({ type: "cancel", name });
  }

  defer<T>(work: () => Promise<T>, then?: (room: RoomContext, outcome: Outcome<T>) => void): void {
    // Sound: it only ever gets what this `work` resolved to.
    const after = then as ((room: RoomContext, outcome: Outcome<unknown>) => void) | undefined;
    this.#ask({ type: "defer", work, after });
  }

  /** After its hook a context is dead: asking it later would change the room outside of any transaction. */
  end(): void {
    this.#open = false;
  }

  #ask(command: Command): void {
    this.#check();
    this.commands.push(command);
  }

  #check(): void {
    if (!this.#open) throw new Error("this hook has returned: use the context that a later hook is given");
  }
}

/** What JSON makes of a value, now: a throw here is the hook's own, and later changes to the object change nothing. */
function plain(data: Json): Json {
  const text: string | undefined = JSON.stringify(data);
  if (text === undefined) throw new TypeError("data must be something JSON can carry");
  return JSON.parse(text) as Json;
}

/** What a hook hands to the room: a throw here is the hook's own, and undone with it. */
export function writable<T>(value: T): T {
  synchronous(value);
  if (typeof value === "object") JSON.stringify(value);
  return value;
}

function synchronous(value: unknown): void {
  const isThenable = typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
  if (isThenable) throw new TypeError("hooks are synchronous: asynchronous work goes through room.defer");
}
