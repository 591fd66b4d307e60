/** How a request is refused: one row of the codes table as an RFC 9457 problem, or as a WebSocket that closes at once. */
import type { Context } from "hono";
import { tokenIn } from "../protocol/bearer.ts";
import { closeQuietly } from "../protocol/close.ts";
import { encode } from "../protocol/codec.ts";
import { codes, texts } from "../protocol/codes.ts";
import { SUBPROTOCOL } from "../protocol/frames.ts";
import { isUpgrade, noteDenied, requestInfo, type Denied } from "./request.ts";

/** Headers of answers that are only true now. */
export const FRESH = { "cache-control": "no-store" } as const;

/** A refusal for clients that read HTTP. */
export function problem(c: Context, denied: Denied): Response {
  noteDenied(c, denied);
  const { code, message, retryAfter } = denied;
  const { http } = codes[code];
  const headers: Record<string, string> = { "content-type": "application/problem+json", ...FRESH };
  if (http === 401) headers["www-authenticate"] = "Bearer";
  if (code === "wrong_protocol") headers["upgrade"] = "websocket";
  if (retryAfter !== undefined) headers["retry-after"] = String(Math.ceil(retryAfter / 1_000));
  const body = {
    type: `urn:edgerooms:problem:${code}`,
    title: texts[code],
    status: http,
    code,
    ...(message !== undefined && { detail: message }),
    ...(retryAfter !== undefined && { retryAfter }),
    requestId: requestInfo(c).requestId ?? (c.get("requestId") as string | undefined),
  };
  return c.body(JSON.stringify(body), http, headers);
}

/**
 * A refusal of an upgrade. Browsers hide the status of a failed upgrade from the page. So the Worker accepts a client that
 * speaks our protocol, sends it a `bye` and closes. No room wakes for it.
 */
export function refuseUpgrade(c: Context, denied: Denied): Response {
  if (!isUpgrade(c.req.raw) || !speaksOurs(c.req.raw)) return problem(c, denied);
  noteDenied(c, denied);
  const { code, message, retryAfter } = denied;
  const close = codes[code].close ?? codes.internal.close;
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  const more = { ...(message !== undefined && { message }), ...(retryAfter !== undefined && { retryAfter }) };
  server.send(encode({ type: "bye", code: close, reason: code, ...more }));
  closeQuietly(server, close, code);
  return accepted(c, client);
}

/** The 101 with the one subprotocol that we ever select, and the trace that the connection belongs to. */
export function accepted(c: Context, client: WebSocket): Response {
  const { traceparent } = requestInfo(c);
  const headers = { "sec-websocket-protocol": SUBPROTOCOL, ...(traceparent !== undefined && { traceparent }) };
  return new Response(null, { status: 101, webSocket: client, headers });
}

/** Whether a client offered our subprotocol. */
export function speaksOurs(request: Request): boolean {
  return subprotocols(request).includes(SUBPROTOCOL);
}

function subprotocols(request: Request): string[] {
  const offered = request.headers.get("sec-websocket-protocol") ?? "";
  return offered.split(",").map((value) => value.trim());
}

/** The token of a request: `Authorization`, else the subprotocol, else (only if the deployer allows it) the URL. */
export function bearerToken(request: Request, inUrl: boolean): string | undefined {
  const [scheme, token] = (request.headers.get("authorization") ?? "").split(/ +/, 2);
  if (scheme?.toLowerCase() === "bearer" && token) return token;
  const offered = tokenIn(subprotocols(request));
  // An empty one is none, here and everywhere.
  if (offered || !inUrl) return offered;
  return new URL(request.url).searchParams.get("token") ?? undefined;
}
