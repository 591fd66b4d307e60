/**
 * The JSON of the HTTP API as JSON Schema (2020-12), by the names that the OpenAPI document refers to. The types of the same
 * things are protocol/api.ts. Objects are open, because later versions may add fields. Knows nothing of paths.
 */
import { BATCH_ID, DEFAULT_DRAIN_MS, MAX_DRAIN_MS, SESSION_ID } from "../../protocol/api.ts";
import { codes } from "../../protocol/codes.ts";
import { SUBPROTOCOL } from "../../protocol/frames.ts";
import { MAX_RECIPIENTS, MAX_USER_ID } from "../../protocol/limits.ts";

/** A schema, as far as ours go. */
export type Schema = Readonly<Record<string, unknown>>;
/** The name of a schema in the document. */
export type SchemaName = keyof typeof schemas;

type Properties = Readonly<Record<string, Schema>>;

/** Refers to a schema of the document. */
export function ref(name: SchemaName): Schema {
  return named(name);
}

const named = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** An object that has all of these fields, but for those listed as optional. */
function object(properties: Properties, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", ...(required.length > 0 && { required }), properties };
}

const list = (items: Schema, maxItems?: number): Schema => ({
  type: "array",
  items,
  ...(maxItems !== undefined && { maxItems }),
});
const integer = (description: string, minimum = 0): Schema => ({ type: "integer", minimum, description });
const text = (description: string): Schema => ({ type: "string", description });
const moment = (description: string) => integer(`${description} Milliseconds since 1970.`);
const offset = (description: string) => integer(description);
const flag = (description: string): Schema => ({ type: "boolean", description });
const json: Schema = { description: "Any JSON." };
const code: Schema = { type: "string", enum: Object.keys(codes) };

const user: Schema = {
  type: "string",
  minLength: 1,
  maxLength: MAX_USER_ID,
  description: `A user id: the \`sub\` of tokens, at most ${MAX_USER_ID} UTF-16 units.`,
};
/** What the ids of sessions and epochs look like. */
export const ID: Schema = { type: "string", pattern: SESSION_ID.source };
/** What the id of a batch of events looks like. */
export const BATCH: Schema = { type: "string", pattern: BATCH_ID.source };
/** What offsets look like in a query. */
export const OFFSET: Schema = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };

const session: Schema = { ...ID, description: "The id of a session." };
const traceparent: Schema = {
  type: "string",
  pattern: "^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$",
  description: "W3C trace context.",
};
const duration = (description: string, preset: number): Schema => ({
  type: "number",
  minimum: 0,
  maximum: MAX_DRAIN_MS,
  default: preset,
  description: `${description} Milliseconds.`,
});

const publication = object(
  {
    offset: offset("Place in the room's log."),
    by: { type: ["string", "null"], description: "User id of the publisher; null when the room itself published." },
    at: moment("When it was stored."),
    data: json,
    to: { ...list(user, MAX_RECIPIENTS), description: "The users it was for. Absent: everyone." },
    traceparent,
  },
  ["to", "traceparent"],
);

const sessionView = object(
  {
    session,
    user,
    name: text("The name in the token."),
    connected: flag("Whether there is a connection now; otherwise it waits to be resumed. Not of one at a relay."),
    since: moment("When the last connection was opened. Not of one at a relay."),
    relay: text("The relay that has its connection, or had its last one. Absent: the room itself."),
    present: flag("Of one at a relay: whether it counts as here, connected or not."),
    droppedAt: moment("When the connection was lost."),
    lag: integer("Publications not yet acknowledged or sent. Only while connected."),
    heardAt: moment("When it last answered a heartbeat, 0 for never. Only while connected."),
    missed: integer("Heartbeats in a row that it left unanswered. Only while connected."),
    unread: integer("Bytes sent that the runtime still holds, where it says."),
  },
  ["name", "connected", "since", "relay", "present", "droppedAt", "lag", "heardAt", "missed", "unread"],
);

const stats = object(
  {
    kind: text("The kind of room."),
    room: text("Its name."),
    epoch: text("The identity of the log's history."),
    offset: offset("Offset of the newest publication; 0 before the first."),
    oldest: offset("Offset of the oldest publication that is kept."),
    members: integer("Users who are in the room."),
    sessions: integer("Sessions, those without a connection included."),
    connections: integer("Connections now, those at relays included."),
    direct: integer("Connections of the room's own. Only while there are connections at relays."),
    relays: { ...list(named("RelayView")), description: "Relays that have connections of this room." },
    regions: {
      type: "object",
      additionalProperties: object({ relays: integer("Relays there."), connections: integer("Connections there.") }),
      description: "Sums of `relays`, by region.",
    },
    draining: object({
      until: moment("When the room closes those that stay."),
      reopens: moment("When it takes new connections again."),
    }),
    heartbeat: object({
      due: moment("When the next heartbeat is."),
      interval: integer("The time between two, in ms."),
    }),
    outbox: object(
      {
        pending: integer("Batches of events that wait for delivery."),
        dead: integer("Batches that the room gave up."),
        tries: integer("Deliveries of the first batch that failed so far."),
        nextTry: moment("When it is tried again."),
      },
      ["nextTry"],
    ),
    counts: {
      type: "object",
      additionalProperties: { type: "number" },
      description: "What was counted since the last report, by series: a metric's name and the values of its labels.",
    },
  },
  ["direct", "relays", "regions", "draining", "heartbeat", "outbox"],
);

const relayView = object(
  {
    name: text("The name of its object."),
    region: text("Where it is: `any` where regions are not told apart."),
    connections: integer("Connections now."),
    lag: integer("Publications that it has not been told of, where the room knows."),
    heardAt: moment("When it last answered or asked. Absent: not since the room woke."),
  },
  ["lag", "heardAt"],
);

const failure = object(
  {
    at: moment("When it happened."),
    code,
    severity: { type: "string", enum: ["info", "warn", "error", "alert"], description: "How grave it is." },
    source: text("What failed: the type of a frame, the name of a hook, a route, a part of the room."),
    kind: text("The kind of room."),
    room: text("The room."),
    session: text("The session."),
    user: text("The user."),
    requestId: text("Id of the HTTP request."),
    traceId: text("Id of the trace."),
    message: text("What failed, for the person who looks into it. Never a token or what a client sent."),
    lasted: integer("Of a connection that the room ended: how long it was open, in ms."),
  },
  ["kind", "room", "session", "user", "requestId", "traceId", "message", "lasted"],
);

const batch = {
  id: { ...BATCH, description: "Id of the batch: what the receiver got as its id." },
  at: moment("When its events happened."),
  tries: integer("Deliveries that failed."),
};
const batchError = text("The code that the last delivery failed with; `overflow` and `skipped` where none decided.");
const outEvent = object(
  {
    id: text("Id of the event."),
    type: { type: "string", enum: ["join", "leave", "publication", "empty"] },
    at: moment("When it happened."),
    member: named("Member"),
    user: text("The member that left."),
    publication: named("Publication"),
  },
  ["member", "user", "publication"],
);

const incomplete: Schema = {
  ...list({ type: "integer", minimum: 0 }),
  description: "Parts of the directory that did not answer in time. Absent: the answer is complete.",
};

/** Every schema of the document, by its name there. */
export const schemas = {
  Problem: {
    ...object(
      {
        type: { type: "string", pattern: "^urn:edgerooms:problem:[a-z_]+$" },
        title: text("What the code means."),
        status: { type: "integer", minimum: 400, maximum: 599 },
        code,
        detail: text("What exactly is wrong."),
        retryAfter: integer("Milliseconds after which trying again makes sense."),
        requestId: text("Id of the request: logs name it too."),
      },
      ["detail", "retryAfter"],
    ),
    description: "Why the request was refused: RFC 9457.",
  },
  Publication: publication,
  Member: object(
    {
      id: user,
      name: text("The name in the token."),
      data: { description: "What the member last set with a presence frame. Any JSON." },
    },
    ["name", "data"],
  ),
  SessionView: sessionView,
  RoomStats: stats,
  RelayView: relayView,
  DeadLetter: object({ ...batch, error: batchError, events: integer("Events in it.", 1) }),
  DeadBatch: object({ ...batch, error: batchError, events: list(outEvent) }),
  StuckBatch: object({ ...batch, events: integer("Events in it.", 1), nextTry: moment("When it is tried again.") }),
  Failure: failure,
  LiveRoom: object(
    {
      kind: text("The kind of room."),
      room: text("Its name."),
      connections: integer("Connections. 0 only in a list of rooms with undelivered events."),
      members: integer("Users who are in the room."),
      sessions: integer("Sessions, those without a connection included."),
      offset: offset("Offset of the newest publication."),
      at: moment("When the room reported this."),
      dead: integer("Batches of events that the room gave up. Absent: none.", 1),
      pending: integer("Batches that wait behind one that has failed for minutes. Absent: none.", 1),
    },
    ["dead", "pending"],
  ),

  Health: object({ ok: { const: true }, protocol: { const: SUBPROTOCOL } }),
  Ready: object(
    {
      ok: { const: true },
      warnings: { ...list({ type: "string" }, 10), description: "What may be a mistake, as sentences." },
    },
    ["warnings"],
  ),
  Refresh: object({ session: { type: "string", description: "The id of a session of this user." } }),
  Refreshed: object({ expires: moment("When the session's token now runs out.") }),
  Publish: object(
    {
      data: { description: "Any JSON that nests at most 31 deep." },
      to: { ...list(user, MAX_RECIPIENTS), minItems: 1, description: "The users it is for. Absent: everyone." },
      traceparent,
    },
    ["to", "traceparent"],
  ),
  Published: object({ offset: offset("Its place in the room's log."), at: moment("When it was stored.") }),
  Log: object({
    epoch: text("The identity of the log's history."),
    oldest: offset("Offset of the oldest publication that is kept."),
    offset: offset("Offset of the newest publication."),
    items: list(named("Publication")),
  }),
  Members: object({ members: list(named("Member")), next: text("The `after` of the next page.") }, ["next"]),
  Sessions: object({ sessions: list(named("SessionView")), next: text("The `after` of the next page.") }, ["next"]),
  Kick: {
    ...object({ user, session }, ["user", "session"]),
    oneOf: [{ required: ["user"] }, { required: ["session"] }],
    description: "A user, to end every session, or one session.",
  },
  Revoke: object({ user }),
  Ended: object({ sessions: integer("How many sessions it ended.") }),
  Drain: object(
    {
      within: duration("How long clients have to leave before the room closes them.", DEFAULT_DRAIN_MS),
      reopenAfter: duration("How long after that the room takes new connections again.", 0),
    },
    ["within", "reopenAfter"],
  ),
  Draining: object({
    until: moment("When the room closes those that stay."),
    reopens: moment("When the room takes new connections again."),
    connections: integer("How many connections it asked to leave."),
  }),
  DeadLetters: object({ dead: list(named("DeadLetter"), 1_000), stuck: named("StuckBatch") }, ["stuck"]),
  Redeliver: object({ batch: BATCH }, ["batch"]),
  Redelivered: object({
    pending: integer("Batches that wait for delivery now."),
    redelivered: integer("How many of them were dead letters."),
  }),
  Skip: object({ batch: BATCH }),
  Skipped: object({
    pending: integer("Batches that wait for delivery now."),
    dead: integer("Dead letters now."),
  }),
  Drop: {
    ...object({ batch: BATCH, all: { const: true } }, ["batch", "all"]),
    oneOf: [{ required: ["batch"] }, { required: ["all"] }],
    description: "A dead letter, or all of the room.",
  },
  Dropped: object({
    dropped: integer("Dead letters that are gone for good."),
    dead: integer("Dead letters that are left."),
  }),
  Rooms: object({ rooms: list(named("LiveRoom")), next: text("The following page's cursor."), incomplete }, [
    "next",
    "incomplete",
  ]),
  Failures: object(
    {
      failures: list(named("Failure"), 100),
      ends: { ...list(named("Failure"), 100), description: "Connections that rooms ended, and why." },
      incomplete,
    },
    ["incomplete"],
  ),
} as const satisfies Record<string, Schema>;
