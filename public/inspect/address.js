/** Where a room is: as a person writes it, in this page's hash, and below the API. Knows nothing of what is in it. */

/** A kind is any word of the deployer's; a name is what rooms may be called. */
const ADDRESS = /^([^/\s]{1,128})\/([A-Za-z0-9._~:@-]{1,128})$/;

/** `kind/room` as `{kind, room}`; undefined when it is none. */
export function parse(text) {
  const [, kind, room] = ADDRESS.exec(text.trim()) ?? [];
  if (kind === undefined) return undefined;
  // Nothing that a URL would take for a way up.
  return [kind, room].some((part) => part === "." || part === "..") ? undefined : { kind, room };
}

/** What the address bar says: undefined for no room, null for what is no address of one. */
export function fromHash(hash) {
  const text = hash.replace(/^#\/?/, "");
  if (text === "") return undefined;
  try {
    return parse(decodeURIComponent(text)) ?? null;
  } catch {
    return null; // an escape that is none
  }
}

export function toHash({ kind, room }) {
  return `#${encodeURIComponent(kind)}/${room}`;
}

/** Path below the API's root, without a slash in front. */
export function pathOf({ kind, room }) {
  return `rooms/${encodeURIComponent(kind)}/${encodeURIComponent(room)}`;
}

export const nameOf = ({ kind, room }) => `${kind}/${room}`;

/** The end of a relay's name, which tells it from the others of its room. */
export function relayOf(name) {
  return name.split("/").slice(-2).join("/");
}
