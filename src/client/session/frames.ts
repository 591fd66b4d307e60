/**
 * What each frame of the room does to the client: one handler per type. Frames of other types are ignored, because a
 * newer room may send them.
 */
import type { ServerFrame } from "../../protocol/frames.ts";
import type { Emitter } from "../emitter.ts";
import { RoomError } from "../error.ts";
import type { RoomEvents } from "../events.ts";
import type { Calls } from "./calls.ts";
import type { Outbox } from "./outbox.ts";
import type { MessageFacts, Position } from "./position.ts";
import type { Presence, PresenceFrame } from "./presence.ts";

/** A frame of one type. */
export type Frame<K extends ServerFrame["type"]> = Extract<ServerFrame, { type: K }>;

/** The message that is being handled; handlers write down what counts once all its frames are handled. */
export interface Message extends MessageFacts {
  isGap: boolean;
  heartbeat: number;
  isAsked: boolean;
  /** Its welcome resumed the session. */
  isResumed: boolean;
  /** Whether the connection it came by is still the client's: a listener may have closed the client. */
  isCurrent(): boolean;
}

/** What the handlers act on. */
export interface FrameTarget {
  readonly events: Emitter<RoomEvents>;
  readonly outbox: Outbox;
  readonly calls: Calls;
  readonly position: Position;
  readonly presence: Presence;
  /** Refs of this client's publications that are still to be handed over, by offset: their acks come first. */
  readonly own: Map<number, number>;
  welcome(frame: Frame<"welcome">): void;
  /** Tells the program which members are here. */
  showMembers(change: Omit<PresenceFrame, "type">): void;
  /** The room has answered a frame. */
  answered(): void;
  refused(error: RoomError, about: Pick<Frame<"error">, "ref" | "frame">): void;
}

/** All but `bye`: the socket ends the connection. */
type Handled = Exclude<ServerFrame["type"], "bye">;
type Handlers = { readonly [K in Handled]: (on: FrameTarget, frame: Frame<K>, message: Message) => void };

const handlers: Handlers = {
  welcome(on, frame, message) {
    message.isResumed = frame.resumed;
    on.welcome(frame);
  },
  snapshot({ position, events, own }, { offset, reason, data }) {
    own.clear();
    position.moveTo(offset, true);
    events.emit("reset", { reason, data, offset });
  },
  pub: handOver,
  ack({ outbox, position, own }, { ref, offset, at }) {
    if (outbox.ack(ref, { ref, offset, at }) && offset > position.offset) own.set(offset, ref);
  },
  signal: ({ events }, { by, data }) => events.emit("signal", { by, data }),
  presence(on, frame) {
    on.presence.confirm(frame);
    on.showMembers(frame);
  },
  reply({ calls }, { ref, error, data }) {
    calls.answer(ref, error ? RoomError.from(error) : (data ?? null));
  },
  epoch: ({ position }, { epoch }) => position.enter(epoch),
  heartbeat(_, { offset, ack }, message) {
    message.heartbeat = offset;
    message.isAsked = ack === true;
  },
  error(on, frame) {
    if (frame.frame === "sync") on.position.syncRefused();
    on.refused(RoomError.from(frame), frame);
  },
  goaway: ({ events }, { within }) => events.emit("goaway", { within }),
};

/** Handles one frame. */
export function handle(on: FrameTarget, frame: ServerFrame, message: Message): void {
  // That of a welcome answers nothing, but there is no frame of its connection yet.
  if ("ref" in frame) on.answered();
  if (Object.hasOwn(handlers, frame.type)) handlers[frame.type as Handled](on, frame as never, message);
}

/** Hands over the publications that are new, unless some are missing before them. */
function handOver({ position, events, own }: FrameTarget, { from, upto, items }: Frame<"pub">, message: Message): void {
  message.isGap = from > position.offset + 1;
  if (message.isGap) return;
  for (const item of items) {
    if (item.offset <= position.offset) continue;
    // Moved first: a listener that closes the client must not get the same item again.
    position.moveTo(item.offset);
    const ref = own.get(item.offset);
    own.delete(item.offset);
    events.emit("publication", ref === undefined ? item : { ...item, ref });
    if (!message.isCurrent()) return;
  }
  position.moveTo(Math.max(upto, position.offset));
}
