/**
 * The connections that the components of a page hold: one client for all components that ask for the same room. A client
 * without holders is closed one macrotask later, so that a remount (as in StrictMode) finds it again, and not before what
 * was published has its ack. One that was never held waits for its holder. Knows no hooks.
 */
import { RoomClient, type Base, type ConnectOptions, type RoomTypes } from "../client/client.ts";
import { viewOf } from "./view.ts";

/** Options of `useRoom`. */
export interface RoomOptions extends ConnectOptions {
  /**
   * The user, when `token` is a function or left out: another value is another connection. Needed where users change
   * without a reload of the page.
   */
  user?: string | undefined;
}

/** The options of one mounted component, as of its last render. */
export interface Holder {
  readonly current: RoomOptions;
}

interface Held {
  readonly client: RoomClient;
  readonly holders: Set<Holder>;
  /** The component whose token function is called. */
  asked: Holder;
  closing: ReturnType<typeof setTimeout> | undefined;
}

/** How long a client without holders waits for the acks of what was published, or for its first holder. */
const LINGER_MS = 10_000;
/** How often it looks. */
const LOOK_MS = 50;

const held = new Map<string, Held>();

/** The key of a connection: the same for all components that share it. */
export function keyOf(url: Base, { room, token, user }: RoomOptions): string {
  // Without a token cookies are it.
  return JSON.stringify([spelling(url), room, user ?? null, typeof token === "function" ? 0 : (token ?? null)]);
}

/** One text for all spellings of an address that lead to the same place. */
function spelling(url: Base): string {
  const text = typeof url === "string" ? url : url.href;
  try {
    const { location } = globalThis as { location?: { href: string } };
    const { origin, pathname, search } = new URL(text, location?.href);
    return `${origin.replace(/^http/, "ws")}${pathname.replace(/\/$/, "")}${search}`;
  } catch {
    // Relative on a server, or no URL: the client says so when it is made.
    return text;
  }
}

/** The client of this key, if there is one. */
export function clientAt<T extends RoomTypes>(key: string): RoomClient<T> | undefined {
  return held.get(key)?.client;
}

/** The client of this key; makes one if there is none. Without a {@link hold} it is closed one macrotask later. */
export function open<T extends RoomTypes>(key: string, url: string, holder: Holder): RoomClient<T> {
  return find(key, url, holder).client;
}

/** Holds the connection of this key. Returns a function that lets go of it. */
export function hold(key: string, url: string, holder: Holder): () => void {
  const entry = find(key, url, holder);
  clearTimeout(entry.closing as never);
  entry.holders.add(holder);
  entry.asked = holder;
  if (entry.client.state.name === "idle") entry.client.connect();
  return () => {
    entry.holders.delete(holder);
    const [other] = entry.holders;
    if (other) entry.asked = other;
    else closeSoon(key, entry);
  };
}

function find(key: string, url: string, holder: Holder): Held {
  const existing = held.get(key);
  if (existing) return existing;
  const { user: _, ...options } = holder.current;
  const ask = async () => {
    const { token } = entry.asked.current;
    return typeof token === "function" ? token() : (token ?? "");
  };
  const client = new RoomClient(url, { ...options, ...(typeof options.token === "function" && { token: ask }) });
  const entry: Held = { client, holders: new Set(), asked: holder, closing: undefined };
  // The view must see every event, also those before a component asks for it.
  viewOf(client);
  held.set(key, entry);
  closeSoon(key, entry);
  return entry;
}

function closeSoon(key: string, entry: Held): void {
  const last = performance.now() + LINGER_MS;
  const look = () => {
    const { pending, state } = entry.client;
    // One that nobody held yet has no socket. It has what a child's layout effect set before the parent's effect held it.
    if ((pending > 0 || state.name === "idle") && performance.now() < last) {
      entry.closing = setTimeout(look, LOOK_MS);
      return;
    }
    held.delete(key);
    entry.client.close();
  };
  entry.closing = setTimeout(look);
}
