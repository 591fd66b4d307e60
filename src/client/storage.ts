/** Keeps a client's session and position, so that a program resumes after a reload or a restart. */
import { isOffset } from "../protocol/codec.ts";

/** What a client keeps. */
export interface Saved {
  readonly session: string;
  readonly epoch: string;
  readonly offset: number;
}

/** Keeps text by key. Synchronous, like the web's own. May forget at any time: then the client starts anew. */
export interface SessionStore {
  get(key: string): string | null | undefined;
  set(key: string, value: string): void;
  delete(key: string): void;
}

/** Forgets with the program. */
export function memoryStore(): SessionStore {
  return new Map<string, string>();
}

/**
 * Keeps session and position over a reload, in the tab's own storage (sessionStorage); in memory where there is none. For
 * programs that keep what they show as long: the room then brings only what is new.
 */
export function tabStore(): SessionStore {
  try {
    // Some programs have one too, shared by everything they do. Only a page's belongs to one person.
    const { sessionStorage: web, document } = globalThis as { sessionStorage?: WebStorage; document?: object };
    if (web && document) {
      return {
        get: (key) => web.getItem(key),
        set: (key, value) => web.setItem(key, value),
        delete: (key) => web.removeItem(key),
      };
    }
  } catch {
    // A browser that forbids storage throws when it is read.
  }
  return memoryStore();
}

interface WebStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What a room accepts as an id. It refuses anything else for good. */
const ID = /^[\w-]{1,64}$/;

/** What was saved, or `undefined` when there is nothing valid: a store may hold anything. */
export function load(store: SessionStore, key: string): Saved | undefined {
  try {
    const { session, epoch, offset } = JSON.parse(store.get(key) ?? "") as Partial<Saved>;
    if (ID.test(session ?? "") && ID.test(epoch ?? "") && isOffset(offset)) {
      return { session: String(session), epoch: String(epoch), offset };
    }
  } catch {
    // Nothing, or not JSON.
  }
  return undefined;
}

/** Saves if it can: a full store must not end a connection. */
export function save(store: SessionStore, key: string, saved: Saved | undefined): void {
  try {
    if (saved) store.set(key, JSON.stringify(saved));
    else store.delete(key);
  } catch {
    // Then a reload starts anew.
  }
}
