/**
 * Knocking: one upgrade in either manner, at the Worker under test or at the real app with another configuration, and
 * what came back. A refusal is checked whole: a plain client reads a problem, one that speaks edgerooms.v1 a `bye`.
 */
import { listDurableObjectIds } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect } from "vitest";
import { createApp } from "../../src/http/app.ts";
import type { AppOptions } from "../../src/http/gate/options.ts";
import { codes, texts, type CodeName } from "../../src/protocol/codes.ts";
import { SUBPROTOCOL } from "../../src/protocol/frames.ts";
import { Client, sign } from "./client.ts";
import type { Env } from "./worker.ts";

/** Where a request goes. */
export type Door = (request: Request) => Promise<Response>;

/** The Worker under test. */
export const worker: Door = (request) => exports.default.fetch(request);

/** Every kind of room of the Worker under test that these tests enter. */
export const rooms = { relay: "RELAY", chat: "CHAT" } as const;

/** The real app with another configuration; `vars` replace parts of the environment. */
export function door(options: Partial<AppOptions<Env>>, vars: Record<string, unknown> = {}): Door {
  const app = createApp<Env>({ rooms, ...options });
  return async (request) => app.fetch(request, { ...env, ...vars });
}

/** How to knock. */
export interface Knock {
  /** In `Authorization`. Default: a good token of ann; `null` for none. */
  token?: string | null;
  method?: string;
  headers?: Record<string, string>;
}

/** Asks for a WebSocket without offering a subprotocol: curl, a health check, a developer who looks. */
export async function plain(at: Door, path: string, knock: Knock = {}): Promise<Response> {
  const { token = await sign("ann"), method = "GET", headers } = knock;
  const authorization: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  const url = new URL(path, "http://edge.test");
  return at(new Request(url, { method, headers: { upgrade: "websocket", ...authorization, ...headers } }));
}

/** Asks as a client of ours does. */
export async function ours(at: Door, path: string, knock: Knock = {}): Promise<Response> {
  return plain(at, path, { ...knock, headers: { "sec-websocket-protocol": SUBPROTOCOL, ...knock.headers } });
}

/** Enters and reads the welcome; a client that is refused fails here. */
export async function enter(at: Door, path: string, knock?: Knock) {
  const response = await ours(at, path, knock);
  if (!response.webSocket) throw new Error(`refused: ${response.status} ${await response.text()}`);
  expect(response.headers.get("sec-websocket-protocol")).toBe(SUBPROTOCOL);
  const client = new Client(response.webSocket);
  await client.until(() => client.frames.length > 0, "the first frame");
  expect(client.frames[0]).toMatchObject({ type: "welcome" });
  return { client, welcome: await client.next("welcome") };
}

/** A problem as it is sent. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  retryAfter?: number;
  requestId: string;
}

/** Reads a response that must be the problem of `code`, complete. */
export async function expectProblem(response: Response, code: CodeName): Promise<Problem> {
  const body = await response.text();
  const type = response.headers.get("content-type");
  if (type !== "application/problem+json") throw new Error(`${response.status} with ${type}, no problem: ${body}`);
  const problem = JSON.parse(body) as Problem;
  const { http } = codes[code];
  expect(problem).toMatchObject({ type: `urn:edgerooms:problem:${code}`, title: texts[code], status: http, code });
  expect(problem.requestId).toMatch(/^[\w=-]{1,255}$/);
  expect(response.status).toBe(http);
  expect(response.headers.get("cache-control")).toBe("no-store");
  return problem;
}

/** Reads an upgrade that must be closed at once, with `code` in the `bye` and in the close itself. */
export async function expectBye(response: Response, code: CodeName): Promise<Client> {
  if (!response.webSocket) throw new Error(`not an upgrade: ${response.status} ${await response.text()}`);
  expect(response.headers.get("sec-websocket-protocol")).toBe(SUBPROTOCOL);
  const client = new Client(response.webSocket);
  client.deaf = true;
  await client.until(() => client.closed !== undefined, "the close of a refusal");
  const { close } = codes[code];
  const { message, retryAfter } = client.of("bye")[0] ?? {};
  const more = { ...(message !== undefined && { message }), ...(retryAfter !== undefined && { retryAfter }) };
  expect(client.frames).toEqual([{ type: "bye", code: close, reason: code, ...more }]);
  expect(client.closed).toEqual({ code: close, reason: code });
  return client;
}

/** Knocks in both manners and is refused in both, with the same words. */
export async function expectRefused(at: Door, path: string, knock: Knock, code: CodeName): Promise<Problem> {
  const client = await expectBye(await ours(at, path, knock), code);
  const problem = await expectProblem(await plain(at, path, knock), code);
  expect(client.of("bye")[0]?.message).toBe(problem.detail);
  return problem;
}

/** What became of an upgrade in one word: `welcome`, or the code it was refused with. */
export async function outcome(response: Response): Promise<"welcome" | CodeName> {
  if (!response.webSocket) return (await response.json<{ code: CodeName }>()).code;
  const client = new Client(response.webSocket);
  await client.until(() => client.frames.length > 0, "the first frame");
  const [first] = client.frames;
  if (first?.type === "bye") return first.reason;
  if (first?.type !== "welcome") throw new Error(`the first frame is ${first?.type}`);
  await client.close();
  return "welcome";
}

/** How many room objects were ever created. */
export async function census(): Promise<number> {
  const lists = await Promise.all(
    Object.values(rooms).map((name) => listDurableObjectIds(env[name] as DurableObjectNamespace)),
  );
  return lists.flat().length;
}
