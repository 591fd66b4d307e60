/**
 * The document as a judge: asks the API and holds every answer against what the document says of that path, method and
 * status. A status, a code, a field or a header that it does not know fails the test that got it.
 */
import { Validator, type Schema as JsonSchema } from "@cfworker/json-schema";
import type { Answers, Described } from "../../src/http/api/describe.ts";
import { openapi } from "../../src/http/api/openapi.ts";
import { schemas, type Schema } from "../../src/http/api/schemas.ts";
import { isTraceparent } from "../../src/protocol/trace.ts";
import { sign } from "./client.ts";
import { worker, type Door } from "./door.ts";

/** With the short routes: what the others have, it has too. */
const { paths } = openapi(["/rooms/:kind/:room", "/rooms/:room"]);

/** A token of an operator of every room. */
export const operator = (user = "op", claims: Record<string, unknown> = {}) =>
  sign(user, { rooms: { "*": ["admin", "publish"] }, ...claims });

/** What to send. */
export interface Ask {
  at?: Door;
  /** `null`: none. Default: an operator's. */
  token?: string | null;
  /** As JSON, unless it is text or bytes already. */
  body?: unknown;
  headers?: Record<string, string>;
}

/** What came back. */
export interface Told<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** Asks, and checks that the document knows the answer. `path` begins with a slash and may have a query. */
export async function ask<T = { code?: string; detail?: string; retryAfter?: number }>(
  method: "GET" | "POST",
  path: string,
  { at = worker, token, body, headers }: Ask = {},
): Promise<Told<T>> {
  const bearer: Record<string, string> =
    token === null ? {} : { authorization: `Bearer ${token ?? (await operator())}` };
  const sent = body instanceof Uint8Array || typeof body === "string" ? body : JSON.stringify(body);
  const url = `http://edge.test${path}`;
  const init = { method, headers: { ...bearer, ...headers }, ...(sent !== undefined && { body: sent }) };
  const response = await at(new Request(url, init));
  const text = await response.text();
  hold(method, new URL(url).pathname, response, text);
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, body: (isJson ? JSON.parse(text) : text) as T };
}

/** Whether a request's body is what the document asks for. */
export function accepts(path: string, body: unknown): boolean {
  const schema = described("POST", path)?.requestBody?.content["application/json"].schema;
  if (!schema) throw new Error(`POST ${path} takes no body`);
  return judge(schema, { schemas }, body) === undefined;
}

/** Whether a parameter may be like this; what is not all digits is text. */
export function allows(method: "GET" | "POST", path: string, name: string, value: string): boolean {
  const parameter = described(method, path)?.parameters?.find((known) => known.name === name);
  if (!parameter) throw new Error(`${method} ${path} has no ${name}`);
  return judge(parameter.schema, { schemas }, /^\d+$/.test(value) ? Number(value) : value) === undefined;
}

function hold(method: "GET" | "POST", path: string, response: Response, text: string): void {
  const where = `${method} ${path} ${response.status}`;
  const answer: Answers[string] | undefined = described(method, path)?.responses[String(response.status)];
  if (!answer) throw new Error(`${where} is not in the document: ${text}`);
  const type = (response.headers.get("content-type") ?? "").split(";")[0] ?? "";
  const schema = answer.content?.[type]?.schema;
  if (!schema) throw new Error(`${where}: the document knows no ${type} here`);
  const wrong = judge(strict(schema), { schemas: strict(schemas) }, type.includes("json") ? JSON.parse(text) : text);
  if (wrong !== undefined) throw new Error(`${where}: ${wrong} in ${text}`);
  for (const name of ["retry-after", "idempotent-replayed"]) {
    const known = answer.headers?.[name];
    const has = response.headers.has(name);
    if (has ? !known : known?.required) throw new Error(`${where}: ${name} ${has ? "is unknown" : "is missing"}`);
  }
  if (!isTraceparent(response.headers.get("traceparent"))) throw new Error(`${where} belongs to no trace`);
  const cached = path === "/openapi.json" ? "public, max-age=300" : "no-store";
  if (response.headers.get("cache-control") !== cached) throw new Error(`${where} is not ${cached}`);
}

/** What the document says of a request. Where two paths match, the one with fewer parameters is meant. */
function described(method: "GET" | "POST", path: string): Described | undefined {
  const parts = path.split("/");
  const fits = Object.keys(paths).filter((known) => {
    const names = known.split("/");
    return names.length === parts.length && names.every((name, i) => name.startsWith("{") || name === parts[i]);
  });
  const [best] = fits.toSorted((a, b) => a.split("{").length - b.split("{").length);
  return best === undefined ? undefined : paths[best]?.[method === "GET" ? "get" : "post"];
}

function judge(schema: unknown, components: object, value: unknown): string | undefined {
  const { valid, errors } = new Validator({ ...(schema as JsonSchema), components }, "2020-12", false).validate(value);
  return valid ? undefined : errors.map(({ instanceLocation, error }) => `${instanceLocation} ${error}`).join("; ");
}

/** The same schemas, closed: the document leaves room for new fields, which must not be there before they are in it. */
function strict(schema: unknown, part = false): Schema {
  if (Array.isArray(schema)) return schema.map((inner) => strict(inner, part)) as unknown as Schema;
  if (typeof schema !== "object" || schema === null) return schema as Schema;
  const closed = Object.fromEntries(
    Object.entries(schema).map(([key, inner]) => [key, strict(inner, key === "allOf")]),
  );
  return "properties" in schema && !part ? { additionalProperties: false, ...closed } : closed;
}
