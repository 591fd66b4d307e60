/** Tokens for trying things out, signed by the Worker itself. Exists only where ENVIRONMENT is "development". */
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import { SignJWT } from "jose";
import { problem } from "./problem.ts";

/** What {@link devTokens} reads from the environment. */
export interface DevEnv {
  readonly ENVIRONMENT?: string;
  readonly AUTH_SECRET?: string;
  readonly AUTH_ISSUER?: string;
  readonly AUTH_AUDIENCE?: string;
}

const MAX_TTL = 86_400;
/** Hosts that foreign DNS cannot claim: this machine, and addresses. */
const LOCAL = /^(?:localhost|\d+\.\d+\.\d+\.\d+|\[.*\])$/;

/** `POST /dev/token {"sub", "name"?, "rooms"?, "ttl"?}` -> `{"token"}`; `ttl` in seconds, default 3600, at most a day. */
export function devTokens<Env extends DevEnv>(): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();
  app.use("/dev/*", requestId());
  app.post("/dev/token", async (c) => {
    const { ENVIRONMENT, AUTH_SECRET, AUTH_ISSUER, AUTH_AUDIENCE } = c.env;
    if (ENVIRONMENT !== "development" || !AUTH_SECRET) return problem(c, { code: "not_found" });
    // A page elsewhere must not fetch tokens from a developer's machine, not even one whose name leads here by DNS.
    const origin = c.req.header("origin");
    const here = new URL(c.req.url);
    const isOurs = origin === undefined || origin === here.origin;
    if (!isOurs || !LOCAL.test(here.hostname)) return problem(c, { code: "forbidden" });
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
    if (AUTH_ISSUER) token.setIssuer(AUTH_ISSUER);
    if (AUTH_AUDIENCE) token.setAudience(AUTH_AUDIENCE);
    return c.json({ token: await token.sign(new TextEncoder().encode(AUTH_SECRET)) });
  });
  return app;
}
