/**
 * Answers what relays ask: each thing is an event of its own, so that what cannot be done fails alone. The answer has
 * everything that the relay lacks, so that acknowledgements and what they acknowledge come together.
 */
import { bytesAfter, MOST_TOLD_BYTES, type Reported } from "../core/relayed.ts";
import { encodeFailure, failure } from "../core/frames.ts";
import type { Allowance, Refused, Result } from "../core/event.ts";
import type { RoomDefinition } from "../definition.ts";
import {
  RELAYING,
  type Admitted,
  type Down,
  type Position,
  type Replied,
  type RelayRules,
  type Said,
  type Up,
} from "../relaying.ts";
import type { RoomState } from "../store/state.ts";
import type { Pusher } from "./pusher.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * UTF-16 units of snapshots in one answer, about, and of what answers frames: it is by RPC, which carries 32 MiB, and its
 * publications have a part of that. The last of each may be more. A client without a place comes with the next exchange.
 */
const MOST_SHOWN = 2_097_152;
const MOST_REPLIED = 2_097_152;

/** What an exchange works with. */
export interface ExchangeParts {
  readonly queue: Scheduler;
  readonly relays: Pusher | undefined;
  /** @throws UnreadableStorage */
  readonly state: () => RoomState;
  /** Unguessable, and new each time. */
  readonly mintId: () => string;
}

/** The room's end of exchanges. */
export class Exchange {
  readonly #parts: ExchangeParts;
  /** The last answer to each relay. */
  readonly #answers = new Map<string, string>();

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
  }

  /** @throws when the room cannot be read, or the relay is of another version: it asks again */
  async answer(up: Up): Promise<Down> {
    const version: unknown = up.version;
    if (version !== RELAYING) throw new TypeError(`a relay of another version: ${String(version)}, not ${RELAYING}`);
    const { relays, queue, state } = this.#parts;
    relays?.asked(up.relay);
    let position: Position | undefined;
    try {
      const { joins, said, sessions, ...about } = up;
      // What was listed before another answer says nothing of what that has brought about.
      const isInTurn = up.heard !== undefined && up.heard === this.#answers.get(up.relay.name);
      const replied: Allowance = { left: MOST_REPLIED };
      const spoken = said.map((each) => this.#hear(up, each, replied));
      // Under load one lane may overtake another: a member that comes back must not be
      // heard of before it is heard that it had gone.
      const report = await queue.submit({
        type: "report",
        up: { ...about, ...(isInTurn && sessions && { sessions }) },
      });
      // The relay must tell it again.
      if (!report.ok) throw new Error(`what a relay reports could not be taken: ${report.code}`);
      const allowance: Allowance = { left: MOST_SHOWN };
      const admitted = joins.map(async (joining) =>
        queue.isCrowded ? CROWDED : queue.submit({ type: "admit", relay: up.relay, joining, allowance }),
      );
      const [replies, answers] = await Promise.all([Promise.all(spoken), Promise.all(admitted)]);
      const down = compose(state(), up, {
        replies,
        admitted: answers.map((answer) => (answer.ok ? (answer.value as Admitted | undefined) : answer)),
        report: report.value as Reported,
        next: relays?.nextOf(up.relay) ?? [],
        nth: this.#nameAnswer(up.relay.name),
      });
      position = { epoch: down.epoch, offset: down.upto };
      return down;
    } finally {
      relays?.answered(up.relay, position, up.connections);
    }
  }

  #nameAnswer(relay: string): string {
    // A relay that is forgotten lists its sessions once more than it must.
    if (this.#answers.size >= MOST_ANSWERS) this.#answers.clear();
    const nth = this.#parts.mintId();
    this.#answers.set(relay, nth);
    return nth;
  }

  async #hear({ relay }: Up, said: Said, allowance: Allowance): Promise<Replied> {
    const { queue } = this.#parts;
    if (queue.isFull) return refused(said, { ok: false, code: "rate_limited", retryAfter: 1_000 });
    const result: Result = await queue.submit({ type: "said", relay: relay.name, said, allowance }, lengthOf(said));
    return result.ok ? (result.value as Replied) : refused(said, result);
  }
}

/** Relays whose last answer is remembered. */
const MOST_ANSWERS = 4_096;
const CROWDED = { ok: false, code: "room_full", message: "The room is overloaded.", retryAfter: 1_000 } as const;

interface Parts {
  readonly replies: readonly Replied[];
  readonly admitted: Down["admitted"];
  readonly report: Reported;
  readonly next: Down["next"];
  readonly nth: string;
}

function compose(state: RoomState, up: Up, { replies, admitted, report, next, nth }: Parts): Down {
  const { log, replay, epochs, drain, definition, population } = state;
  const upto = log.committed;
  const from = whereFrom(state, up, admitted);
  const after = from ?? upto;
  const items = [...replay.after(after, undefined, MOST_TOLD_BYTES)].map((stretch) => stretch.items);
  return {
    version: RELAYING,
    nth,
    epoch: epochs.current,
    after,
    upto,
    items: items.filter((text) => text !== "").join(","),
    count: population,
    ...(drain && { drain }),
    signals: [],
    dismissals: report.dismissals,
    next,
    rules: rulesOf(definition),
    admitted,
    replies,
    ...(report.isUnsure && { isUnsure: true }),
    ...(from === undefined && { isUndone: true }),
  };
}

/**
 * From where a relay is told what there is: from where it ends, or from before where it begins, if somebody continues from
 * there. `undefined` when it has what is not of this history, or is too far behind.
 */
function whereFrom(
  state: RoomState,
  { at, back = Infinity, joins }: Up,
  admitted: Down["admitted"],
): number | undefined {
  const { log, epochs } = state;
  const upto = log.committed;
  if (at && epochs.includes(at, upto) !== true) return undefined;
  const isTellable = (from: number) => log.covers(from) && bytesAfter(log, from, upto) <= MOST_TOLD_BYTES;
  const from = at?.offset ?? upto;
  if (!isTellable(from)) return undefined;
  const oldest = at?.oldest ?? Infinity;
  const positions = joins.flatMap(({ admission }, i) => {
    const answer = admitted[i];
    if (!answer?.ok) return [];
    return [answer.reset?.offset ?? admission.resume?.position?.offset ?? upto];
  });
  // One that is out of reach comes again, and is reset. That is no reason to send the others away.
  return Math.min(from, ...[back, ...positions].filter((each) => each + 1 < oldest && isTellable(each)));
}

function rulesOf(definition: RoomDefinition): RelayRules {
  const { resumeWindow, grace, retain, heartbeat, maxConnectionsPerUser, maxMessage, rate, presence } = definition;
  const hasSignalHook = definition.hooks.onSignal !== undefined;
  return { resumeWindow, grace, retain, heartbeat, maxConnectionsPerUser, maxMessage, rate, presence, hasSignalHook };
}

/** What could not be done is refused, each frame by itself. */
function refused({ sender, frames }: Said, { code, retryAfter }: Refused): Replied {
  const error = failure(code, retryAfter === undefined ? {} : { retryAfter });
  const texts = frames.map((frame) => encodeFailure(frame, error));
  return { texts, rejected: sender.rejected, ...(code !== "rate_limited" && { isFailed: true }) };
}

function lengthOf({ frames }: Said): number {
  return frames.reduce((sum, frame) => sum + JSON.stringify(frame).length, 0);
}
