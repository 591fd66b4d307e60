/** Tokens as an issuer would sign them, and as a careless program would hand them over. */
import { SignJWT } from "jose";

/** Signs for one user; `ttl` in seconds can be negative. */
export async function sign(secret: string, user: string, ttl: number): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ iat: now })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime(now + ttl)
    .sign(new TextEncoder().encode(secret));
}

/** Seconds that the next token of a client lives: some of a sloppy one's are over, or about to be. */
export function nextTtl(ttl: number, sloppy: boolean, random: () => number): number {
  return sloppy && random() < 0.3 ? Math.floor(random() * 4) - 2 : ttl;
}
