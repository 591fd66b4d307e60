/** How every rival verifies a token before it accepts a connection: jose, HS256. Ours has its own check, also jose. */
import { jwtVerify } from "jose";

/** Whether a request carries a valid token. */
export async function verify(authorization: string | null | undefined, secret: string): Promise<boolean> {
  const token = authorization?.startsWith("Bearer ") ? authorization.slice(7) : "";
  const key = new TextEncoder().encode(secret);
  return jwtVerify(token, key, { algorithms: ["HS256"] }).then(
    () => true,
    () => false,
  );
}
