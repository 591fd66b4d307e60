/**
 * Which connections the components of a page hold: one client for all that ask for the same room. A client that nobody
 * holds any more is closed one macrotask later, so that a remount, StrictMode's among them, finds it again.
 */
import { memoryStore, RoomClient, type ConnectOptions, type RoomTypes } from "../client/client.ts";
import { viewOf } from "./view.ts";

/** Options of `useRoom`. */
export interface RoomOptions extends ConnectOptions {
  /**
   * Who is connecting, when `token` is a function: another value is another connection. Needed where users change
   * without a reload of the page.
   */
  user?: string;
}

/** The options of one mounted component, as of its last render. */
export interface Holder {
  readonly current: RoomOptions;
}

interface Held {
  readonly client: RoomClient;
  readonly holders: Set<Holder>;
  /** Whose token function is asked. */
  asked: Holder;
  closing: ReturnType<typeof setTimeout> | undefined;
}

const held = new Map<string, Held>();

/** What tells one connection from another. */
export function keyOf(url: string | URL, { room, token, user }: RoomOptions): string {
  return JSON.stringify([String(url), room, user ?? null, typeof token === "string" ? token : null]);
}

/** The client of this key, when there is one. */
export function clientAt<T extends RoomTypes>(key: string): RoomClient<T> | undefined {
  return held.get(key)?.client;
}

/** The client of this key, made when there is none. Nobody holds it yet: without {@link hold} it goes at once. */
export function open<T extends RoomTypes>(key: string, url: string, holder: Holder): RoomClient<T> {
  return find(key, url, holder).client;
}

/** Holds the connection of this key; returns what lets go of it. */
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
  const { user: _, token, ...options } = holder.current;
  const ask = () => {
    const { current } = entry.asked;
    return typeof current.token === "string" ? current.token : current.token();
  };
  const client = new RoomClient(url, {
    // What components show is gone after a reload, so the position in the log must be gone, too.
    storage: memoryStore(),
    ...options,
    token: typeof token === "string" ? token : ask,
  });
  const entry: Held = { client, holders: new Set(), asked: holder, closing: undefined };
  // From the first event on, whoever asks for it later.
  viewOf(client);
  held.set(key, entry);
  closeSoon(key, entry);
  return entry;
}

function closeSoon(key: string, entry: Held): void {
  entry.closing = setTimeout(() => {
    held.delete(key);
    entry.client.close();
  });
}
