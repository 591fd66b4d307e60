/**
 * The OpenAPI 3.1 document of an app: every path, what it takes and every answer it gives. Written by hand and held to
 * the routes, the bodies and the answers by tests. The shapes of JSON are schemas.ts.
 */
import { codes, texts, type CodeName } from "../../protocol/codes.ts";
import { SUBPROTOCOL } from "../../protocol/frames.ts";
import { DEFAULT_READ, KEY, MAX_READ, SESSION } from "./bodies.ts";
import { ref, schemas, type Schema } from "./schemas.ts";

interface Header {
  readonly required?: boolean;
  readonly description: string;
  readonly schema: Schema;
}

/** What is said about one answer, by status. */
export interface Answers {
  readonly [status: string]: {
    readonly description: string;
    readonly headers?: Readonly<Record<string, Header>>;
    readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
  };
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly description: string;
  readonly schema: Schema;
}

/** One method of one path. */
export interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: { readonly "application/json": { readonly schema: Schema } };
  };
  readonly responses: Answers;
}

interface Path {
  readonly parameters?: readonly Parameter[];
  readonly get?: Described;
  readonly post?: Described;
}

/** The document, as far as ours goes. */
export interface OpenApi {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly paths: Readonly<Record<string, Path>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: object };
}

/** How anything ends that needs a token and asks an object: a room, or a part of the directory. */
const GATE = [
  "unauthorized",
  "token_expired",
  "forbidden",
  "internal",
  "upstream_failed",
  "unavailable",
  "restarting",
  "room_full",
  "upstream_timeout",
] as const satisfies readonly CodeName[];
/** How anything ends that is asked of a room. */
const ROOM = [...GATE, "bad_room", "not_found", "revoked", "storage_failed"] as const satisfies readonly CodeName[];
const BODY = ["bad_request", "too_large"] as const satisfies readonly CodeName[];

const RETRY_AFTER = { description: "Seconds after which trying again makes sense.", schema: { type: "integer" } };

/** Refusals by status, each with the codes that it can carry. */
function refusals(...names: CodeName[]): Answers {
  const byStatus = Object.groupBy(new Set(names), (name) => String(codes[name].http));
  const answers = Object.entries(byStatus).map(([status, same = []]) => [
    status,
    {
      description: same.map((name) => `\`${name}\`: ${texts[name]}`).join(" "),
      ...(same.some((name) => codes[name].next === "later") && { headers: { "retry-after": RETRY_AFTER } }),
      content: {
        "application/problem+json": {
          schema: { allOf: [ref("Problem"), { type: "object", properties: { code: { enum: same } } }] },
        },
      },
    },
  ]);
  return Object.fromEntries(answers) as Answers;
}

function answer(name: keyof typeof schemas, description = "As asked."): Answers[string] {
  return { description, content: { "application/json": { schema: ref(name) } } };
}

function requestBody(name: keyof typeof schemas, required = true): NonNullable<Described["requestBody"]> {
  return { required, content: { "application/json": { schema: ref(name) } } };
}

const PUBLIC = { security: [] } as const;

const kind: Parameter = {
  name: "kind",
  in: "path",
  required: true,
  description: "The kind of room.",
  schema: { type: "string" },
};
const room: Parameter = {
  name: "room",
  in: "path",
  required: true,
  description: "The room's name.",
  schema: { type: "string", pattern: "^[A-Za-z0-9._~:@-]{1,128}$" },
};

function query(name: string, description: string, schema: Schema): Parameter {
  return { name, in: "query", description, schema };
}

const TOKENISH = { type: "string", pattern: SESSION.source };
const OFFSET = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };

const upgrade: Described = {
  operationId: "connect",
  summary: `Opens a WebSocket that speaks ${SUBPROTOCOL}. Grant: join.`,
  description: `A client that offers the subprotocol is told of a refusal in the WebSocket too: 101, a \`bye\` frame, and a close. A browser brings its token as the subprotocol \`bearer.<jwt>\`.`,
  parameters: [
    query("session", "The session to continue.", TOKENISH),
    query("epoch", "The epoch of the client's position; with `offset`.", TOKENISH),
    query("offset", "The offset of the client's position; with `epoch`.", OFFSET),
    query("credit", "1: the client acknowledges what it reads.", { type: "string" }),
    query("traceparent", "W3C trace context, from clients that cannot set the header.", { type: "string" }),
  ],
  responses: {
    101: { description: `The WebSocket. The subprotocol is ${SUBPROTOCOL}.` },
    ...refusals(...GATE, "bad_room", "bad_resume", "not_found", "wrong_protocol"),
  },
};

/** What can be asked of a room, by what follows its path. */
const ofRooms: Readonly<Record<string, Path>> = {
  "": { get: upgrade },
  "/session": {
    post: {
      operationId: "refresh",
      summary: "Brings the next token of a live session: the one of this request. Grant: join.",
      requestBody: requestBody("Refresh"),
      responses: {
        200: answer("Refreshed"),
        ...refusals(...ROOM, "bad_resume", "too_large", "unknown_session"),
      },
    },
  },
  "/publish": {
    post: {
      operationId: "publish",
      summary: "Publishes as the token's user. Grant: publish.",
      parameters: [
        {
          name: "idempotency-key",
          in: "header",
          description:
            "The same request under the same key of the same user takes effect once, and is answered as the first was.",
          schema: { type: "string", pattern: KEY.source },
        },
      ],
      requestBody: requestBody("Publish"),
      responses: {
        200: {
          ...answer("Published", "It was published before, under this key."),
          headers: { "idempotent-replayed": { required: true, description: "A repeat.", schema: { const: "true" } } },
        },
        201: answer("Published", "It is stored."),
        ...refusals(...ROOM, ...BODY, "hook_failed", "key_reused", "rate_limited", "rejected"),
      },
    },
  },
  "/log": {
    get: {
      operationId: "readLog",
      summary: "Publications after an offset, oldest first, addressed ones included. Grant: admin.",
      description: "At most 1 MiB of them. Without `after`: the newest.",
      parameters: [
        query("after", "The offset to go on from.", OFFSET),
        query("limit", "How many, at most.", { type: "integer", minimum: 1, maximum: MAX_READ, default: DEFAULT_READ }),
      ],
      responses: { 200: answer("Log"), ...refusals(...ROOM, "bad_request") },
    },
  },
  "/members": reading("listMembers", "Who is here.", "Members"),
  "/sessions": reading("listSessions", "Every session, and how its connection does.", "Sessions"),
  "/stats": reading("readStats", "How the room is.", "RoomStats"),
  "/dead": reading("listDeadLetters", "Events that could not be delivered, newest first.", "Dead"),
  "/kick": order(
    "kick",
    "Ends every session of a user, or one. They may come back.",
    "Kick",
    "Ended",
    "unknown_session",
  ),
  "/revoke": order("revoke", "Ends every session of a user, and refuses tokens issued before now.", "Revoke", "Ended"),
  "/drain": {
    post: {
      operationId: "drain",
      summary: "Tells everyone to go, closes who is left, and takes nobody meanwhile. Grant: admin.",
      requestBody: requestBody("Drain", false),
      responses: { 200: answer("Draining"), ...refusals(...ROOM, ...BODY) },
    },
  },
  "/redeliver": {
    post: {
      operationId: "redeliver",
      summary: "Puts the events that could not be delivered back into the queue. Grant: admin.",
      responses: { 200: answer("Redelivered"), ...refusals(...ROOM) },
    },
  },
};

function reading(operationId: string, summary: string, name: keyof typeof schemas): Path {
  const responses = { 200: answer(name), ...refusals(...ROOM) };
  return { get: { operationId, summary: `${summary} Grant: admin.`, responses } };
}

function order(
  operationId: string,
  summary: string,
  body: keyof typeof schemas,
  name: keyof typeof schemas,
  ...more: CodeName[]
): Path {
  const responses = { 200: answer(name), ...refusals(...ROOM, ...BODY, ...more) };
  return {
    post: { operationId, summary: `${summary} Grant: admin.`, requestBody: requestBody(body), responses },
  };
}

/** Paths that are about no room, or about all of them. */
const ofApp: Readonly<Record<string, Path>> = {
  "/rooms": {
    get: {
      operationId: "listRooms",
      summary: "A page of the live rooms: those of them that the token is admin of. Grant: admin.",
      description: "What rooms last told: one can be missing, or be gone, for up to ten minutes.",
      parameters: [query("cursor", "`next` of the page before.", { type: "string" })],
      responses: { 200: answer("Rooms"), ...refusals(...GATE, "not_found") },
    },
  },
  "/failures": {
    get: {
      operationId: "listFailures",
      summary: 'What went wrong lately, newest first. For who is admin of all rooms: `{"*": ["admin"]}`.',
      responses: { 200: answer("Failures"), ...refusals(...GATE, "not_found") },
    },
  },
  "/metrics": {
    get: {
      operationId: "scrape",
      summary: "Metrics for Prometheus. For who is admin of all rooms, or has the scrape token.",
      security: [{ token: [] }, { scrape: [] }],
      responses: {
        200: {
          description: "Text exposition format.",
          content: { "text/plain": { schema: { type: "string" } } },
        },
        ...refusals(...GATE),
      },
    },
  },
  "/healthz": {
    get: {
      operationId: "health",
      summary: "Whether the Worker answers. Asks no room.",
      ...PUBLIC,
      responses: { 200: answer("Health") },
    },
  },
  "/openapi.json": {
    get: {
      operationId: "describe",
      summary: "This document.",
      ...PUBLIC,
      responses: {
        200: { description: "OpenAPI 3.1.", content: { "application/json": { schema: { type: "object" } } } },
      },
    },
  },
};

const DESCRIPTION = `Rooms and what operators do to them. Refusals are problems (RFC 9457). Moments are milliseconds since 1970, spans milliseconds. A request may carry a W3C \`traceparent\`; every answer does, and JSON that is not this document is never cached. Fields may be added to any object.`;

/**
 * The document of an app.
 *
 * @param paths the routes of its rooms, as Hono has them: `/rooms/:kind/:room`, and `/rooms/:room` where there is one kind
 * @param at the path it is mounted under, empty when it is served alone
 */
export function openapi(paths: readonly string[], at = ""): OpenApi {
  const rooms = paths.flatMap((path) => Object.entries(ofRooms).map(([rest, item]) => ofRoom(path, rest, item)));
  return {
    openapi: "3.1.0",
    // A Worker cannot read its package.json: the version is that of the protocol, which is what clients depend on.
    info: { title: "edgerooms", version: SUBPROTOCOL, description: DESCRIPTION },
    servers: [{ url: at === "" ? "/" : at }],
    security: [{ token: [] }],
    paths: { ...Object.fromEntries(rooms), ...ofApp },
    components: {
      schemas,
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          bearerFormat: "JWT",
          description: "`sub`, `exp` and perhaps `rooms`.",
        },
        scrape: { type: "http", scheme: "bearer", description: "The Worker's METRICS_TOKEN." },
      },
    },
  };
}

function ofRoom(path: string, rest: string, item: Path): [string, Path] {
  const long = path.includes(":kind");
  // Ids of operations are unique; those of the short paths say that they go by the room's name alone.
  const named = (described: Described | undefined) =>
    described && (long ? described : { ...described, operationId: `${described.operationId}ByName` });
  const [get, post] = [named(item.get), named(item.post)];
  const parameters = long ? [kind, room] : [room];
  return [`${path}${rest}`.replaceAll(/:(\w+)/g, "{$1}"), { parameters, ...(get && { get }), ...(post && { post }) }];
}
