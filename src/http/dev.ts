/**
 * Tokens for trying things out, signed by the Worker itself. Only where ENVIRONMENT is "development", and only for requests to
 * localhost: a Worker that was deployed with that setting by mistake gives none, nor one behind a tunnel.
 */
import type { Context, Hono } from "hono";
import { SignJWT } from "jose";
import { isLoopback } from "../ops/address.ts";
import { secret as secretText } from "../ops/secrets.ts";
import { listIn } from "../ops/settings.ts";
import { problem } from "./problem.ts";
import type { Denied } from "./request.ts";

const MAX_TTL = 86_400;
/** Headers of a proxy: what it hands on comes from somewhere else, whatever Host says. */
const FORWARDED = ["forwarded", "x-forwarded-for", "x-forwarded-host"];

/** The refusal of what {@link isOurs} does not let in. */
export const NOT_OURS: Denied = {
  code: "not_found",
  message:
    "This is for localhost alone. In a project with routes, run `wrangler dev --local-upstream localhost:8787`, or make a " +
    "token with `npx edgerooms token`.",
};

/**
 * Adds `POST /dev/token {"sub", "name"?, "rooms"?, "ttl"?}` -> `{"token"}`; `ttl` in seconds, default 3600, at most a day.
 * The token is signed with `AUTH_SECRET`.
 */
export function devRoutes<Env extends object>(app: Hono<{ Bindings: Env }>): void {
  // Elsewhere the address is free for the deployer's own routes.
  app.post("/dev/token", (c, next) => (isDevelopment(c.env) ? devToken(c) : next()));
}

/** Whether the Worker runs for trying things out. */
export function isDevelopment(env: object): boolean {
  return (env as { ENVIRONMENT?: unknown }).ENVIRONMENT === "development";
}

async function devToken<Env extends object>(c: Context<{ Bindings: Env }>): Promise<Response> {
  if (!isOurs(c.req.raw)) return problem(c, NOT_OURS);
  const secret = await secretText((c.env as { AUTH_SECRET?: unknown }).AUTH_SECRET, "AUTH_SECRET");
  if (!secret) return problem(c, { code: "not_found", message: "There is no AUTH_SECRET to sign with." });
  const body = await c.req.json<Record<string, unknown>>().catch(() => null);
  const { sub, name, rooms, ttl = 3_600 } = body ?? {};
  if (typeof sub !== "string" || sub === "" || typeof ttl !== "number" || !(ttl >= -MAX_TTL && ttl <= MAX_TTL)) {
    return c.json({ error: `the body is {"sub", "name"?, "rooms"?, "ttl"?}, ttl at most ${MAX_TTL} seconds` }, 400);
  }
  const now = Math.floor(Date.now() / 1_000);
  const token = new SignJWT({ ...(name !== undefined && { name }), ...(rooms !== undefined && { rooms }) })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuedAt(now)
    .setExpirationTime(now + ttl);
  const [issuer] = listIn(c.env, "AUTH_ISSUER") ?? [];
  const [audience] = listIn(c.env, "AUTH_AUDIENCE") ?? [];
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return c.json({ token: await token.sign(new TextEncoder().encode(secret)) });
}

/**
 * Whether a request is to localhost, by no proxy, and from a page there if from any.
 *
 * The page of a name that leads here by DNS says that name in Host, but not once `wrangler dev` has put another in its place.
 * So a request with an Origin also needs the browser's word, which browsers give for pages of localhost and of no other
 * `http:` name.
 */
export function isOurs({ url, headers }: Request): boolean {
  const here = URL.parse(url);
  if (!here || !isLoopback(here.hostname) || FORWARDED.some((name) => headers.has(name))) return false;
  const origin = headers.get("origin");
  const site = headers.get("sec-fetch-site");
  if (origin === null) return site === null || site === "same-origin" || site === "none";
  return origin === here.origin && site === "same-origin";
}
