/** The check that every rival makes of a token before it lets anyone in: jose, HS256. Ours has its own, also jose. */
import { jwtVerify } from "jose";

/** Whether a request carries a good token. */
export async function verify(authorization: string | null | undefined, secret: string): Promise<boolean> {
  const token = authorization?.startsWith("Bearer ") ? authorization.slice(7) : "";
  const key = new TextEncoder().encode(secret);
  return jwtVerify(token, key, { algorithms: ["HS256"] }).then(
    () => true,
    () => false,
  );
}
