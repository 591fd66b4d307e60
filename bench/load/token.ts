/** Tokens for the load: HS256, signed before a run, so that signing is never measured. */
import { createHmac } from "node:crypto";

/** The secret with which every rival verifies. */
export const SECRET = "a secret for benchmarks only, as long as it has to be";

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const head = encode({ alg: "HS256", typ: "JWT" });

/** A token for a user, valid for a day. */
export function signToken(sub: string): string {
  const now = Math.floor(Date.now() / 1_000);
  const body = `${head}.${encode({ sub, iat: now - 5, exp: now + 86_400 })}`;
  return `${body}.${createHmac("sha256", SECRET).update(body).digest("base64url")}`;
}
