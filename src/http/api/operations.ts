/**
 * The one table of what a program with a token can do to a room over HTTP. Where each operation is stands in
 * protocol/api.ts, which the CLI shares; here is how its request is read and how the OpenAPI document describes it. The
 * routes and the document are both made of it. What an operation does in a room is the room's affair.
 */
import type { HonoRequest } from "hono";
import {
  DEFAULT_LOG_PAGE,
  IDEMPOTENCY_KEY,
  MAX_LIST_PAGE,
  MAX_LOG_PAGE,
  type RoomOperation,
} from "../../protocol/api.ts";
import type { CodeName } from "../../protocol/codes.ts";
import { MAX_MESSAGE_BYTES } from "../../protocol/limits.ts";
import type { OperatorCommand } from "../../room/operator.ts";
import {
  MAX_AFTER,
  readDrain,
  readDrop,
  readKick,
  readLetter,
  readPage,
  readPublish,
  readRange,
  readRedeliver,
  readRevoke,
  readSkip,
} from "./bodies.ts";
import { query, type Parameter } from "./describe.ts";
import { BATCH, OFFSET, type SchemaName } from "./schemas.ts";

type Read = OperatorCommand | string | Promise<OperatorCommand | string>;

/** How one operation is read and described. */
export interface Operation {
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  /** Absent: it takes none, and nothing of one is read. */
  readonly body?: { readonly schema: SchemaName; readonly required: boolean; readonly maxBytes: number };
  readonly answer: SchemaName;
  /** Besides those of every operation on a room. */
  readonly refusals: readonly CodeName[];
  /** The first answer has the status 201; a repeat under the same Idempotency-Key 200, and `idempotent-replayed: true`. */
  readonly isRepeatable?: true;
  /** The command for the room, or a sentence that says what is wrong with the request. */
  readonly read: (request: HonoRequest) => Read;
}

/** The largest message, and what stands around its data. */
const MAX_PUBLISH_BYTES = MAX_MESSAGE_BYTES + 4_096;
const MAX_ORDER_BYTES = 4_096;

/** Every operation, by its name. */
export const operations: Readonly<Record<RoomOperation, Operation>> = {
  publish: {
    summary: "Publishes as the token's user.",
    parameters: [
      {
        name: "idempotency-key",
        in: "header",
        description:
          "The same request under the same key of the same user takes effect once, and gets the answer of the first time.",
        schema: { type: "string", pattern: IDEMPOTENCY_KEY.source },
      },
    ],
    body: { schema: "Publish", required: true, maxBytes: MAX_PUBLISH_BYTES },
    answer: "Published",
    refusals: ["key_reused", "rate_limited", "rejected"],
    isRepeatable: true,
    read: async (request) => readPublish(await request.arrayBuffer(), request.header("idempotency-key")),
  },
  readLog: {
    summary: "Publications after an offset, oldest first, addressed ones included.",
    description: "At most 1 MiB of them. Without `after`: the newest.",
    parameters: [
      query("after", "The offset to go on from.", OFFSET),
      query("limit", "How many, at most.", {
        type: "integer",
        minimum: 1,
        maximum: MAX_LOG_PAGE,
        default: DEFAULT_LOG_PAGE,
      }),
    ],
    answer: "Log",
    refusals: ["bad_request", "rate_limited"],
    read: (request) => readRange(request.query("after"), request.query("limit")),
  },
  listMembers: paged("Who is in the room.", "Members", "members"),
  listSessions: paged("Every session, and the state of its connection.", "Sessions", "sessions"),
  readStats: reading("The room in numbers.", "RoomStats", "stats"),
  listDeadLetters: {
    ...reading("Events that could not be delivered, newest first.", "DeadLetters", "dead"),
    description: "And the batch that holds up those behind it, if a delivery of it has failed.",
  },
  readDeadLetter: {
    summary: "One dead letter with its events, as the outlet would have got them.",
    parameters: [{ ...query("batch", "The id of the dead letter.", BATCH), required: true }],
    answer: "DeadBatch",
    refusals: ["bad_request"],
    read: (request) => readLetter(request.query("batch")),
  },
  kick: {
    summary: "Ends every session of a user, or one session. The user may come back.",
    body: { schema: "Kick", required: true, maxBytes: MAX_ORDER_BYTES },
    answer: "Ended",
    refusals: ["unknown_session"],
    read: async (request) => readKick(await request.arrayBuffer()),
  },
  revoke: {
    summary: "Ends every session of a user, and refuses tokens that were issued before now.",
    body: { schema: "Revoke", required: true, maxBytes: MAX_ORDER_BYTES },
    answer: "Ended",
    refusals: [],
    read: async (request) => readRevoke(await request.arrayBuffer()),
  },
  drain: {
    summary: "Asks every client to leave, closes those that stay, and takes no new ones meanwhile.",
    body: { schema: "Drain", required: false, maxBytes: MAX_ORDER_BYTES },
    answer: "Draining",
    refusals: [],
    read: async (request) => readDrain(await request.arrayBuffer()),
  },
  redeliver: {
    summary: "Puts one dead letter, or all of them, behind the batches that wait for delivery.",
    body: { schema: "Redeliver", required: false, maxBytes: MAX_ORDER_BYTES },
    answer: "Redelivered",
    refusals: [],
    read: async (request) => readRedeliver(await request.arrayBuffer()),
  },
  skip: {
    summary: "Sets the batch that holds up the others aside as a dead letter.",
    description: "If it is being delivered at this moment, the receiver may get it after all.",
    body: { schema: "Skip", required: true, maxBytes: MAX_ORDER_BYTES },
    answer: "Skipped",
    refusals: [],
    read: async (request) => readSkip(await request.arrayBuffer()),
  },
  drop: {
    summary: "Forgets one dead letter, or all of them, for good.",
    body: { schema: "Drop", required: true, maxBytes: MAX_ORDER_BYTES },
    answer: "Dropped",
    refusals: [],
    read: async (request) => readDrop(await request.arrayBuffer()),
  },
};

/** An operation that only looks. */
function reading(summary: string, answer: SchemaName, type: "stats" | "dead"): Operation {
  return { summary, answer, refusals: [], read: () => ({ type }) };
}

/** An operation that looks at a list. */
function paged(summary: string, answer: SchemaName, type: "members" | "sessions"): Operation {
  return {
    summary,
    description:
      "All of them without a query; in a room with relays the first page. Pages are in order of code points.",
    parameters: [
      query("after", "The `next` of the page before.", { type: "string", minLength: 1, maxLength: MAX_AFTER }),
      query("limit", "How many, at most.", { type: "integer", minimum: 1, maximum: MAX_LIST_PAGE }),
    ],
    answer,
    refusals: ["bad_request"],
    read: (request) => readPage(type, request.query("after"), request.query("limit")),
  };
}
