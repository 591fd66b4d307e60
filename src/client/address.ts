/** Where a room is, from what a program says: any base, http or ws, absolute or (in a browser) relative. */

/** The two addresses of one room. */
export interface Address {
  /** For the WebSocket, without a query. */
  readonly socket: string;
  /** For the session's next token. */
  readonly session: string;
}

/**
 * @param base where the Worker is served, with the path it is mounted under, if any
 * @param room `kind/name`, or the name alone where the Worker serves one kind
 * @throws TypeError when the base is no URL
 */
export function addressOf(base: string | URL, room: string): Address {
  const { location } = globalThis as { location?: { href: string } };
  const url = new URL(base, location?.href);
  const path = room.split("/").map(encodeURIComponent).join("/");
  url.pathname = `${url.pathname.replace(/\/$/, "")}/rooms/${path}`;
  url.search = "";
  url.hash = "";
  const secure = url.protocol === "https:" || url.protocol === "wss:";
  const rest = url.href.slice(url.protocol.length);
  return { socket: `${secure ? "wss:" : "ws:"}${rest}`, session: `${secure ? "https:" : "http:"}${rest}/session` };
}
