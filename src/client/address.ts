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
 * The addresses of one room.
 *
 * @param base where the Worker is served, with the path it is mounted under, and with a query for a Worker that reads one
 * @param room `kind/name`, or the name alone where the Worker serves one kind
 * @throws TypeError when the base is not an http or ws URL
 */
export function addressOf(base: Base, room: string): Address {
  const { location } = globalThis as { location?: { href: string } };
  const { origin, pathname, search } = new URL(textOf(base), location?.href);
  if (!/^(http|ws)/.test(origin)) throw new TypeError(`url is not an http or ws URL: ${textOf(base)}`);
  const path = room.split("/").map(encodeURIComponent).join("/");
  // From the `s` of https and wss on, where there is one.
  const rest = `${origin.replace(/^(http|ws)/, "")}${pathname.replace(/\/$/, "")}/rooms/${path}`;
  return { socket: `ws${rest}${search}`, session: `http${rest}/session${search}` };
}

/** An address as text. */
export function textOf(base: Base): string {
  return typeof base === "string" ? base : base.href;
}
