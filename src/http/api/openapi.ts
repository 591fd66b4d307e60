/**
 * The OpenAPI 3.1 document of an app: every path, what it takes and every answer it gives. Operations on rooms come from
 * the table in operations.ts; the few other paths are written here. Tests hold the document to the routes and to answers.
 */
import { ROOM_NAME, ROOMS_PATH, roomRoutes, type RoomOperation } from "../../protocol/api.ts";
import { SUBPROTOCOL } from "../../protocol/frames.ts";
import {
  answer,
  BODY_REFUSALS,
  GATE_REFUSALS,
  query,
  refusals,
  requestBody,
  ROOM_REFUSALS,
  type Answers,
  type Described,
  type Parameter,
  type Path,
} from "./describe.ts";
import { operations, type Operation } from "./operations.ts";
import { ID, OFFSET, schemas, type Schema } from "./schemas.ts";

/** The document, as far as ours goes. */
export interface OpenApi {
  readonly openapi: "3.1.0";
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly paths: Readonly<Record<string, Path>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>>; readonly securitySchemes: object };
}

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
  schema: { type: "string", pattern: ROOM_NAME.source },
};

const upgrade: Described = {
  operationId: "connect",
  summary: `Opens a WebSocket that speaks ${SUBPROTOCOL}. Grant: join.`,
  description:
    "A client that offers the subprotocol gets a refusal in the WebSocket: 101, a `bye` frame, and a close. A browser sends its token as the subprotocol `bearer.<jwt>`.",
  parameters: [
    query("session", "The session to continue.", ID),
    query("epoch", "The epoch of the client's position; with `offset`.", ID),
    query("offset", "The offset of the client's position; with `epoch`.", OFFSET),
    query("credit", "1: the client acknowledges what it reads.", { type: "string" }),
    query("attempt", "Which attempt of which client it is: a name, a dot, a number that goes up.", { type: "string" }),
    query("traceparent", "W3C Trace Context, from clients that cannot set the header.", { type: "string" }),
  ],
  responses: {
    101: { description: `The WebSocket. The subprotocol is ${SUBPROTOCOL}.` },
    ...refusals(...GATE_REFUSALS, "bad_room", "bad_resume", "not_found", "wrong_protocol"),
  },
};

const refresh: Described = {
  operationId: "refresh",
  summary: "Gives a live session its next token: that of this request. Grant: join.",
  requestBody: requestBody("Refresh"),
  responses: {
    200: answer("Refreshed"),
    ...refusals(...ROOM_REFUSALS, "bad_resume", "too_large", "unknown_session"),
  },
};

const LISTED = `In no order. A page can be empty and have a \`next\`. As rooms last reported: one can be missing for up to ten minutes, and a room whose last report was lost stays for up to half an hour. A part of the directory that does not answer within 5 s is named in \`incomplete\`, and its rooms are missing. Where \`authorize\` decides, it is asked about each room of a page, which has at most 50 then (8 for a token that grants \`admin\` nowhere), unless it makes the caller an admin of \`{ kind: "*", room: "*" }\`.`;

/** Paths that are about no room, or about all rooms. */
const ofApp: Readonly<Record<string, Path>> = {
  [ROOMS_PATH]: {
    get: {
      operationId: "listRooms",
      summary:
        "A page of the live rooms, or of those with undelivered events, that the token is admin of. Grant: admin.",
      description: LISTED,
      parameters: [
        query("cursor", "`next` of the page before.", { type: "string" }),
        query("dead", "1: rooms with undelivered events instead, whether or not anybody is in them.", {
          type: "string",
          enum: ["0", "1"],
        }),
      ],
      responses: { 200: answer("Rooms"), ...refusals(...GATE_REFUSALS, "not_found") },
    },
  },
  "/failures": {
    get: {
      operationId: "listFailures",
      summary:
        'The newest failures, and the newest ends of connections, newest first. For admins of all rooms: `{"*": ["admin"]}`.',
      responses: { 200: answer("Failures"), ...refusals(...GATE_REFUSALS, "not_found") },
    },
  },
  "/metrics": {
    get: {
      operationId: "scrape",
      summary: "Metrics for Prometheus. For admins of all rooms, and for the scrape token.",
      security: [{ token: [] }, { scrape: [] }],
      responses: {
        200: { description: "Text exposition format.", content: { "text/plain": { schema: { type: "string" } } } },
        ...refusals(...GATE_REFUSALS),
      },
    },
  },
  "/healthz": {
    get: {
      operationId: "health",
      summary: "Whether the Worker answers. Asks no room.",
      security: [],
      responses: { 200: answer("Health") },
    },
  },
  "/readyz": {
    get: {
      operationId: "ready",
      summary: "Whether the Worker has the settings and bindings that it needs. Asks no room.",
      security: [],
      responses: { 200: answer("Ready"), ...refusals("misconfigured") },
    },
  },
  "/openapi.json": {
    get: {
      operationId: "describe",
      summary: "This document.",
      security: [],
      responses: {
        200: { description: "OpenAPI 3.1.", content: { "application/json": { schema: { type: "object" } } } },
      },
    },
  },
};

const DESCRIPTION = `Rooms and what operators do to them. Refusals are problems (RFC 9457). Moments are milliseconds since 1970, durations milliseconds. A request may have a W3C \`traceparent\`; every answer has one. Only this document may be cached. Later versions may add fields to any object.`;

/**
 * The document of an app.
 *
 * @param paths the routes of its rooms, as Hono has them: `/rooms/:kind/:room`, and `/rooms/:room` where there is one kind
 * @param at the path it is mounted under, empty when it is served alone
 */
export function openapi(paths: readonly string[], at = ""): OpenApi {
  return {
    openapi: "3.1.0",
    // A Worker cannot read its package.json: the version is that of the protocol, which is what clients depend on.
    info: { title: "edgerooms", version: SUBPROTOCOL, description: DESCRIPTION },
    servers: [{ url: at === "" ? "/" : at }],
    security: [{ token: [] }],
    paths: { ...Object.assign({}, ...paths.map(pathsOfRoom)), ...ofApp },
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

function pathsOfRoom(base: string): Record<string, Path> {
  const isLong = base.includes(":kind");
  const parameters = isLong ? [kind, room] : [room];
  // Ids of operations are unique: those of the short paths say that the room's name is enough.
  const named = (described: Described) =>
    isLong ? described : { ...described, operationId: `${described.operationId}ByName` };
  const at = (rest: string) => `${base}${rest}`.replaceAll(/:(\w+)/g, "{$1}");
  const paths: Record<string, Path> = {
    [at("")]: { parameters, get: named(upgrade) },
    [at("/session")]: { parameters, post: named(refresh) },
  };
  for (const [name, operation] of Object.entries(operations) as [RoomOperation, Operation][]) {
    const { method, path } = roomRoutes[name];
    const described = named(describe(name, operation));
    paths[at(path)] = { parameters, ...(method === "GET" ? { get: described } : { post: described }) };
  }
  return paths;
}

function describe(name: RoomOperation, operation: Operation): Described {
  const { summary, description, parameters, body } = operation;
  const codes = [...ROOM_REFUSALS, ...(body ? BODY_REFUSALS : []), ...operation.refusals];
  return {
    operationId: name,
    summary: `${summary} Grant: ${roomRoutes[name].grant}.`,
    ...(description !== undefined && { description }),
    ...(parameters && { parameters }),
    ...(body && { requestBody: requestBody(body.schema, body.required) }),
    responses: { ...successes(operation), ...refusals(...codes) },
  };
}

function successes({ answer: name, isRepeatable }: Operation): Answers {
  if (!isRepeatable) return { 200: answer(name) };
  const replayed = { required: true, description: "A repeat.", schema: { const: "true" } };
  return {
    200: { ...answer(name, "It was done before, under this key."), headers: { "idempotent-replayed": replayed } },
    201: answer(name, "It is done."),
  };
}
