/**
 * The parts that the OpenAPI document is made of: what it says of a parameter, a body, an answer and a refusal. Knows no
 * path and no operation.
 */
import { codes, texts, type CodeName } from "../../protocol/codes.ts";
import { ref, type Schema, type SchemaName } from "./schemas.ts";

interface Header {
  readonly required?: boolean;
  readonly description: string;
  readonly schema: Schema;
}

/** One answer. */
export interface AnswerDescription {
  readonly description: string;
  readonly headers?: Readonly<Record<string, Header>>;
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

/** The answers of an operation, by status. */
export type Answers = Readonly<Record<string, AnswerDescription>>;

/** A part of the path, the query or a header. */
export interface Parameter {
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

/** One path. */
export interface Path {
  readonly parameters?: readonly Parameter[];
  readonly get?: Described;
  readonly post?: Described;
}

/** The refusals of everything that needs a token and asks an object: a room, or a part of the directory. */
export const GATE_REFUSALS = [
  "unauthorized",
  "token_expired",
  "token_early",
  "forbidden",
  "rate_limited",
  "misconfigured",
  "internal",
  "hook_failed",
  "upstream_failed",
  "unavailable",
  "restarting",
  "room_full",
  "upstream_timeout",
] as const satisfies readonly CodeName[];
/** The refusals of everything that is asked of a room. */
export const ROOM_REFUSALS = [
  ...GATE_REFUSALS,
  "bad_room",
  "not_found",
  "revoked",
  "storage_failed",
] as const satisfies readonly CodeName[];
/** The refusals of everything that takes a body. */
export const BODY_REFUSALS = ["bad_request", "too_large"] as const satisfies readonly CodeName[];

const RETRY_AFTER = { description: "Seconds after which trying again makes sense.", schema: { type: "integer" } };

/** Refusals by status, each with the codes that it can have. */
export function refusals(...names: readonly CodeName[]): Answers {
  const byStatus = Object.groupBy(new Set(names), (name) => String(codes[name].http));
  const answers = Object.entries(byStatus).map(([status, same = []]): [string, AnswerDescription] => [
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
  return Object.fromEntries(answers);
}

/** An answer in JSON. */
export function answer(name: SchemaName, description = "As asked."): AnswerDescription {
  return { description, content: { "application/json": { schema: ref(name) } } };
}

/** A body in JSON. */
export function requestBody(name: SchemaName, required = true): NonNullable<Described["requestBody"]> {
  return { required, content: { "application/json": { schema: ref(name) } } };
}

/** A parameter in the query. */
export function query(name: string, description: string, schema: Schema): Parameter {
  return { name, in: "query", description, schema };
}
