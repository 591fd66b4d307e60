/** The addresses of a room, from the base that a program gives: http or ws, absolute or (in a browser) relative. */

/** Where a Worker is: text or a URL, without the type of the global class, which not every program has. */
export type Base = string | { readonly href: string };

/** The two addresses of one room. */
export interface Address {
  /** For the WebSocket, with the query of the base. */
  readonly socket: string;
  /** For the session's next token. */
  readonly session: string;
}

/**
 * An http or ws URL: the `s` of https and wss, host and path without user and password, and the query. By hand, because
 * React Native has a URL without these.
 */
const PARTS = /^(?:http|ws)(s?):\/\/(?:[^/?#]*@)?([^/?#]+[^?#]*)(\?[^#]*)?/i;

/**
 * The addresses of one room.
 *
 * @param base where the Worker is served, with the path it is mounted under, and with a query for a Worker that reads one
 * @param room `kind/name`, or the name alone where the Worker serves one kind
 * @throws TypeError when the base is not an http or ws URL
 */
export function addressOf(base: Base, room: string): Address {
  const text = textOf(base).trim();
  const { location } = globalThis as { location?: { href: string } };
  const isRelative = location && !/^\w+:/.test(text);
  const [, s, place, query = ""] = (isRelative ? new URL(text, location.href).href : text).match(PARTS) ?? [];
  if (!place) throw new TypeError(`url is not an http or ws URL: ${text}`);
  const path = `${s}://${place.replace(/\/$/, "")}/rooms/${room.split("/").map(encodeURIComponent).join("/")}`;
  return { socket: `ws${path}${query}`, session: `http${path}/session${query}` };
}

/** An address as text. */
export function textOf(base: Base): string {
  return typeof base === "string" ? base : base.href;
}
