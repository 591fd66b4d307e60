/**
 * One event being applied: the room, the moment, and everything the event may do besides changing the room. Whatever it
 * says or asks for takes effect when the tick has committed, and not at all if it does not.
 */
import { encode } from "../../protocol/codec.ts";
import type { CodeName } from "../../protocol/codes.ts";
import type { ClientFrame, Publication, ServerFrame } from "../../protocol/frames.ts";
import type { Batch } from "../outlet.ts";
import type { Connection } from "../rules/connection.ts";
import type { Item, Source } from "../store/log.ts";
import type { Session } from "../store/sessions.ts";
import type { Continuation, RoomState } from "../store/state.ts";
import type { RoomSeries } from "../telemetry/counts.ts";
import type { End } from "../telemetry/end.ts";
import type { Failure, FailureContext } from "../telemetry/failure.ts";
import type { Dismissal, ForwardedFrame, Signal } from "../relaying.ts";
import { Effects } from "./effects.ts";
import type { Command } from "./event.ts";
import { EventsOut } from "./events-out.ts";
import { Outgoing, type ListFrame, type PresenceChange } from "./outgoing.ts";

/** What the events of one tick share. Time and randomness come in as data. */
export class TickContext {
  readonly state: RoomState;
  /** In ms since the epoch. */
  readonly now: number;
  readonly outgoing = new Outgoing();
  readonly effects = new Effects();
  readonly eventsOut: EventsOut | undefined;
  readonly #id: string;
  #ids = 0;

  /** @param id unguessable, new for every tick; the ids that the tick gives out are made of it */
  constructor(state: RoomState, now: number, id: string) {
    this.state = state;
    this.now = now;
    this.#id = id;
    const { events } = state.definition;
    this.eventsOut = events && new EventsOut(events.types, state.population);
  }

  /** A new id, safe in a URL. */
  mintId(): string {
    return `${this.#id}-${(this.#ids++).toString(36)}`;
  }
}

/** Something a hook asked for, and how many hooks led to it. */
export interface Request {
  readonly command: Command;
  readonly depth: number;
}

/** How one connection is let go. */
export interface Farewell {
  readonly code: CodeName;
  readonly retryAfter?: number | undefined;
}

/** One event being applied. */
export class Turn {
  readonly state: RoomState;
  readonly now: number;
  /** The user and session it is for: failures are reported with it. */
  about: FailureContext = {};
  /** Of a member at a relay: what it signals to those who are near. */
  near: Signal[] | undefined;
  /** How many hooks led here: what a hook asks for may run another. */
  depth = 0;
  readonly #tick: TickContext;
  readonly #requests: Request[] = [];
  #asked = 0;

  constructor(tick: TickContext) {
    this.#tick = tick;
    this.state = tick.state;
    this.now = tick.now;
  }

  /** A new id, safe in a URL. */
  mintId(): string {
    return this.#tick.mintId();
  }

  /** To one connection. */
  send(to: Connection, frame: ServerFrame | ClientFrame): void {
    this.#tick.outgoing.send(to, encode(frame));
  }

  /** To one connection, already encoded. */
  sendText(to: Connection, text: string): void {
    this.#tick.outgoing.send(to, text);
  }

  /** To one connection, with the list of members as it is at the end of the tick. */
  sendList(to: Connection, frame: ListFrame["withMembers"]): void {
    this.#tick.outgoing.sendList(to, frame, this.state.roster.length);
  }

  /** To everyone, whatever their credit. */
  broadcast(frame: ServerFrame): void {
    if (frame.type === "heartbeat") this.#tick.outgoing.isHeartbeat = true;
    this.#tick.outgoing.broadcast(encode(frame));
  }

  /** To every connection that is fed; never stored. `near`: not beyond the object that the sender is connected to. */
  signal(signal: Signal, scope?: "near"): void {
    this.state.isActive = true;
    if (scope && this.near) this.near.push(signal);
    else this.#tick.outgoing.signal(signal, scope);
  }

  /** The others are told who came, changed or went, as far as members of this room learn of one another. */
  presence(change: PresenceChange): void {
    const { state } = this;
    state.isActive = true;
    // The room says who is here.
    if (state.mirror) return;
    if (state.definition.presence === "list") this.#tick.outgoing.presence(change);
    else if (change.change !== "update") state.headcount.change();
    this.#tick.eventsOut?.presence(change, this.now);
  }

  /** Puts a publication into the log; `undefined` when it is too large to be stored. */
  append(publication: Omit<Publication, "offset">, source?: Source): Item | undefined {
    const item = this.state.log.append(publication, source);
    if (item) this.#tick.eventsOut?.published(item);
    return item;
  }

  /** A connection exists from here on; its socket is opened when the tick has committed. */
  accept(connection: Connection): void {
    this.#tick.effects.accepted.push(connection);
    this.#tick.outgoing.accept(connection);
  }

  /** The connection has been sent everything that it may see up to `offset`. */
  feed(connection: Connection, offset: number): void {
    this.#tick.outgoing.feed(connection, offset);
  }

  /** Lets a connection go: its client is told why, and the room forgets it. */
  close(connection: Connection, { code, retryAfter }: Farewell): void {
    const session = this.state.sessions.get(connection.session);
    if (session) this.ended(session, code);
    this.#tick.effects.closed.push({ connection, code });
    this.#tick.outgoing.close(connection, code, retryAfter);
    this.state.release(connection);
  }

  /** The connection of a session has ended; the room told it why, or it was gone. */
  ended({ id, user, requestId, connectedAt }: Session, code: End["code"], close?: number): void {
    const traceparent = this.state.connections.get(id)?.traceparent;
    const lasted = this.now - connectedAt;
    this.#tick.effects.ends.push({ code, session: id, user, requestId, traceparent, lasted, close });
  }

  /** What was said to a connection that is with a relay: its relay hands it over. */
  takeSaid(to: Connection): string[] {
    return this.#tick.outgoing.take(to);
  }

  /** In a relay: only the room can answer this frame. */
  forward(sender: { readonly connection: Connection; readonly session: Session }, frame: ForwardedFrame): void {
    this.#tick.effects.forwarded.push({ ...sender, frame });
  }

  /** In a relay: the room learns what became of a session. */
  reportHome(what: { readonly gone: Session } | { readonly over: Session }): void {
    const { mirror } = this.state;
    if (!mirror) return;
    mirror.due ??= this.now + mirror.patience;
    const key = ({ id, user, generation }: Session) => ({ session: id, user, generation });
    this.#tick.effects.farewells.push("gone" in what ? { gone: key(what.gone) } : { over: key(what.over) });
  }

  /** In a relay: the connection continues from before what there is here. */
  lookUp(connection: Connection, offset: number): void {
    this.#tick.effects.wanted.push({ connection, offset });
  }

  /** Relays let sessions go that the room has ended. */
  dismiss(dismissal: Dismissal): void {
    this.#tick.effects.dismissals.push(dismissal);
  }

  /** Runs asynchronous work; what follows on it runs as an event of its own. */
  run(run: () => Promise<unknown>, followUp: Continuation | undefined): void {
    this.#tick.effects.work.push({ id: this.mintId(), run, followUp });
  }

  /** The events of a batch are to go out. */
  deliver(batch: Batch): void {
    this.#tick.effects.batches.push(batch);
  }

  /** The directory must learn how this room is. */
  list(): void {
    this.#tick.effects.isListingDue = true;
  }

  /** Something happened that is counted. */
  count(series: RoomSeries, n = 1): void {
    this.#tick.effects.counts.add(series, n);
  }

  /** Something went wrong. */
  fail(failure: Failure): void {
    this.#tick.effects.failures.push({ ...this.about, ...failure });
  }

  /** How many more requests the hooks of this event may make. */
  get requestsLeft(): number {
    return MAX_REQUESTS - this.#asked;
  }

  /** What a hook asked for waits until the event itself has been applied. */
  ask(commands: readonly Command[]): void {
    const depth = this.depth + 1;
    this.#asked += commands.length;
    for (const command of commands) this.#requests.push({ command, depth });
  }

  /** The next thing that hooks asked for, in the order in which they asked. */
  nextRequest(): Request | undefined {
    return this.#requests.shift();
  }
}

/** Requests that the hooks of one event may make, those of the hooks that they set off included. */
const MAX_REQUESTS = 1_000;
