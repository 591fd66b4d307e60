/**
 * What the ways to a failure share: joining under a known trace, being told as the table says, and what must have come of
 * it. The ways themselves are in refusals.ts, endings.ts and accidents.ts.
 */
import { expect } from "vitest";
import { codes, isRetryable, type CodeName } from "../../src/protocol/codes.ts";
import { defineRoom } from "../../src/server.ts";
import { Client, type ConnectOptions } from "./client.ts";
import { operator } from "./contract.ts";
import { expectProblem, expectRefused, type Knock } from "./door.ts";
import { TestedRoom } from "./room.ts";
import { equip, type Log, marked, watched } from "./watching.ts";

/** What was said to whom must never be in a log. */
export const PAYLOAD = "what-ann-said";

/** What came of provoking a code. The client's answer has been looked at already. */
export interface Provoked {
  /** The kind of room that counted; "" where none did. */
  readonly kind?: string;
  readonly errors: number;
  readonly closes?: number;
  /** The log lines of the code, without level, code and message. */
  readonly lines: readonly Record<string, unknown>[];
}

/** What the test that runs has so far: its log, and the connections that it ends. */
export const scene: { log: Log; open: Client[] } = { log: undefined as unknown as Log, open: [] };

export async function join(room: TestedRoom, options: ConnectOptions = {}) {
  const { headers, ids } = marked();
  const { client, welcome } = await Client.join(room.path, { headers, ...options });
  scene.open.push(client);
  const about = { kind: room.kind, room: room.name, user: options.user ?? "ann", session: welcome.session, ...ids };
  return { client, welcome, about };
}

/** Is told an error about a frame, as the table says. */
export async function expectError(client: Client, code: CodeName, type: "error" | "reply" = "error"): Promise<void> {
  const told = await client.next(type);
  const error = told.type === "reply" ? told.error : told;
  const { retryAfter } = error ?? {};
  expect(error).toMatchObject({ code, message: expect.any(String) });
  expect(error?.retryable).toBe(isRetryable(code) || retryAfter !== undefined);
}

/** Is told good-bye, as the table says, and closed with it when it does not close by itself. */
export async function expectGone(client: Client, code: CodeName): Promise<void> {
  expect(await client.next("bye")).toMatchObject({ code: codes[code].close, reason: code });
}

/** Is refused in both manners. */
export async function refused(
  at: typeof watched,
  path: string,
  knock: Knock,
  code: CodeName,
  more = {},
): Promise<Provoked> {
  const { headers, ids } = marked();
  await expectRefused(at, path, { ...knock, headers: { ...headers, ...knock.headers } }, code);
  const line = { source: "GET /rooms/:kind/:room", ...ids, ...more };
  return { errors: 2, lines: [line, line] };
}

export async function post(room: TestedRoom, operation: string, body: unknown, headers: Record<string, string> = {}) {
  return watched(
    new Request(`http://edge.test/rooms/${room.path}/${operation}`, {
      method: "POST",
      headers: { authorization: `Bearer ${await operator()}`, ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    }),
  );
}

/** Is refused over HTTP. */
export async function posted(room: TestedRoom, operation: string, body: unknown, code: CodeName, headers = {}) {
  const mark = marked();
  await expectProblem(await post(room, operation, body, { ...mark.headers, ...headers }), code);
  const source = `POST /rooms/:kind/:room/${operation}`;
  const line = { source, kind: room.kind, room: room.name, user: "op", ...mark.ids };
  return { errors: 1, lines: [line] };
}

export const here = (room: TestedRoom, user = "ann") => ({ kind: room.kind, room: room.name, user });

/** One frame that fails. */
export async function frame(
  code: CodeName,
  send: (client: Client) => void,
  source: string,
  { kind = "relay", reply = false }: { kind?: TestedRoom["kind"]; reply?: boolean } = {},
): Promise<Provoked> {
  const { client, about } = await join(new TestedRoom(kind));
  send(client);
  await expectError(client, code, reply ? "reply" : "error");
  return { kind, errors: 1, lines: [{ source, ...about }] };
}

export async function hooked(definition: Parameters<typeof defineRoom>[0]): Promise<TestedRoom> {
  const room = new TestedRoom();
  await equip(room, { definition: defineRoom(definition) });
  return room;
}

export const broken = (): never => {
  throw new Error(`a hook broke at\n    at line 1 ${"x".repeat(10_000)}`);
};

/** By code, every way to it by name. */
export type Ways = Partial<Record<CodeName, Readonly<Record<string, () => Promise<Provoked>>>>>;
