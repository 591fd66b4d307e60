/**
 * A token in a cookie. Browsers add cookies to whatever any page asks for, so one counts only for a page that may connect:
 * otherwise every page could open a WebSocket in its visitor's name. Whether an origin may is origin.ts.
 */
import type { Context } from "hono";
import { getCookie } from "hono/cookie";

/**
 * The token in the cookie of this name. Only for requests whose origin the gate has allowed.
 *
 * @param name absent: cookies do not count
 * @returns `undefined` where there is none, or nothing says which page asks
 */
export function cookieToken(c: Context, name: string | undefined): string | undefined {
  if (name === undefined || !saysWhoAsks(c.req.raw.headers)) return undefined;
  return getCookie(c, name) || undefined;
}

/** Browsers send an Origin with every WebSocket, POST and request across origins, and no page can change either header. */
function saysWhoAsks(headers: Headers): boolean {
  return headers.get("origin") !== null || headers.get("sec-fetch-site") === "same-origin";
}
