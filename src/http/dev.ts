/**
 * Tokens for trying things out, signed by the Worker itself. Only where ENVIRONMENT is "development", and only on the
 * developer's own computer: a Worker that was deployed with that setting by mistake gives none.
 */
import type { Context, Hono } from "hono";
import { SignJWT } from "jose";
import { isLoopback } from "../ops/address.ts";
import { listIn, secretsIn } from "../ops/settings.ts";
import { problem } from "./problem.ts";

const MAX_TTL = 86_400;
/** Addresses that foreign DNS cannot claim. */
const ADDRESS = /^(?:\d+\.\d+\.\d+\.\d+|\[.*\])$/;

/**
 * Adds `POST /dev/token {"sub", "name"?, "rooms"?, "ttl"?}` -> `{"token"}`; `ttl` in seconds, default 3600, at most a day.
 * The token is signed with `AUTH_SECRET`.
 */
export function devRoutes<Env extends object>(app: Hono<{ Bindings: Env }>): void {
  // Elsewhere the address is free for the deployer's own routes.
  app.post("/dev/token", (c, next) => (isDevelopment(c.env) ? devToken(c) : next()));
}

function isDevelopment(env: object): boolean {
  return (env as { ENVIRONMENT?: unknown }).ENVIRONMENT === "development";
}

async function devToken<Env extends object>(c: Context<{ Bindings: Env }>): Promise<Response> {
  if (!isOurs(c.req.raw)) return problem(c, { code: "forbidden", message: "Only for pages of this computer." });
  const [secret] = await secretsIn(c.env, "AUTH_SECRET");
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

/** A page elsewhere must not fetch tokens from a developer's computer, not even one whose name leads here by DNS. */
function isOurs({ url, headers }: Request): boolean {
  const here = new URL(url);
  const origin = headers.get("origin");
  if (origin !== null && origin !== here.origin) return false;
  if (isLoopback(here.hostname) || ADDRESS.test(here.hostname)) return true;
  // Where the project has routes, `wrangler dev` asks in the name of the first one, without its own port, and says that the
  // request came from this computer. Cloudflare says where it came from, and lets nobody else say it.
  const from = headers.get("cf-connecting-ip") ?? "";
  return here.port === "" && (isLoopback(from) || isLoopback(`[${from}]`));
}
