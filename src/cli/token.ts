/**
 * `edgerooms token`: a token signed with the secret that the Worker verifies with. Asks no server. All settings are read
 * from one place, so that no token mixes two configurations.
 */
import { readFileSync } from "node:fs";
import { SignJWT } from "jose";
import { grants, type GrantName } from "../protocol/api.ts";
import { MAX_USER_ID } from "../protocol/limits.ts";
import { Failure, Misuse, type Command } from "./command.ts";
import { print } from "./output.ts";

const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Cf}\u2028\u2029]/u;
/** RFC 7518 section 3.2: with a shorter secret the Worker refuses every token. */
const MIN_SECRET_BYTES = 32;
const VARS = ".dev.vars";

/** The command `token`. */
export const token: Command = {
  name: "token",
  summary: "Makes a token for a user: signed with AUTH_SECRET, and printed.",
  takes: "SUB",
  count: [1, 1],
  options: {
    name: { value: "NAME", help: "what others see, besides SUB" },
    rooms: { value: "JSON", help: `what it allows where: {"room/*": ["join", "publish"]}. Default: a member anywhere` },
    admin: { help: "instead of --rooms: everything, in every room" },
    ttl: { value: "TIME", help: "how long it is good: 90s, 15m, 1h, 7d. Default: 1h" },
  },
  more: `AUTH_SECRET, AUTH_ISSUER and AUTH_AUDIENCE are read from the environment; when AUTH_SECRET is not there, all
three from ${VARS} in this folder.`,
  async run(words) {
    const [sub = ""] = words.positionals;
    if (sub === "" || sub.length > MAX_USER_ID || UNPRINTABLE.test(sub)) {
      throw new Misuse(`SUB is 1 to ${MAX_USER_ID} printable characters.`);
    }
    const rooms = roomsClaim(words.text("rooms"), words.has("admin"));
    const seconds = secondsIn(words.text("ttl") ?? "1h");
    const name = words.text("name");
    const { AUTH_SECRET: secret = "", AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience } = configuration();
    const now = Math.floor(Date.now() / 1_000);
    const jwt = new SignJWT({ ...(name !== undefined && { name }), ...(rooms !== undefined && { rooms }) })
      .setProtectedHeader({ alg: "HS256" })
      .setSubject(sub)
      .setIssuedAt(now)
      .setExpirationTime(now + seconds);
    // The server takes any one of several.
    if (issuer) jwt.setIssuer(first(issuer));
    if (audience) jwt.setAudience(first(audience));
    await print(await jwt.sign(new TextEncoder().encode(secret)));
  },
};

function first(list: string): string {
  return list.split(",", 1)[0]?.trim() ?? "";
}

function roomsClaim(text: string | undefined, admin: boolean): unknown {
  if (text === undefined) return admin ? { "*": grants } : undefined;
  if (admin) throw new Misuse("Give --rooms or --admin, not both.");
  const claim = parsed(text);
  const good =
    typeof claim === "object" &&
    claim !== null &&
    !Array.isArray(claim) &&
    Object.values(claim).every(
      (some) => Array.isArray(some) && some.every((grant) => grants.includes(grant as GrantName)),
    );
  if (!good) throw new Misuse(`--rooms is JSON such as {"room/*": ["join"]}. Grants are ${grants.join(", ")}.`);
  return claim;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

function secondsIn(text: string): number {
  const [, digits, unit] = text.match(/^(\d{1,6})([smhd])$/) ?? [];
  const seconds = Number(digits) * SECONDS[unit as keyof typeof SECONDS];
  if (!(seconds > 0)) throw new Misuse("--ttl is a time such as 90s, 15m, 1h or 7d.");
  return seconds;
}

function configuration(): Readonly<Record<string, string | undefined>> {
  const vars = process.env["AUTH_SECRET"] ? process.env : varsIn(VARS);
  if (vars["AUTH_JWKS_URL"]) {
    throw new Failure("AUTH_JWKS_URL is set: tokens come from that issuer, and the server ignores AUTH_SECRET.");
  }
  const secret = vars["AUTH_SECRET"];
  if (!secret) throw new Failure(`There is no AUTH_SECRET, neither in the environment nor in ${VARS} of this folder.`);
  if (new TextEncoder().encode(secret).length < MIN_SECRET_BYTES) {
    throw new Failure(`AUTH_SECRET is shorter than ${MIN_SECRET_BYTES} bytes: the server would refuse every token.`);
  }
  return vars;
}

/** A file of NAME=value lines as wrangler reads it; empty when there is none. */
function varsIn(file: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return {};
  }
  const lines = text.matchAll(/^\s*(?:export\s+)?([\w.-]+)\s*=[ \t]*("[^"]*"|'[^']*'|`[^`]*`|[^#\r\n]*)/gm);
  return Object.fromEntries(
    [...lines].map(([, name, value = ""]) => [name, value.trim().replace(/^(["'`])(.*)\1$/s, "$2")]),
  );
}
