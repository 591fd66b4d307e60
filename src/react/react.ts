/**
 * Hooks over the client: each room is an external store, and all components that use it share one connection. The
 * published entry `edgerooms/react`. Knows no sockets and no frames.
 */
"use client";
import { useCallback, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import type { Base, RoomClient, RoomEvents, RoomTypes, State } from "../client/client.ts";
import { clientAt, hold, keyOf, open, type RoomOptions } from "./registry.ts";
import { viewOf, type View } from "./view.ts";

export type { RoomOptions } from "./registry.ts";

/** What {@link useRoom} returns: a new object whenever client or state change, with functions that stay the same. */
export interface RoomHandle<T extends RoomTypes = RoomTypes> {
  /** The client itself, for everything else. `undefined` on the server and before the component has mounted. */
  readonly client: RoomClient<T> | undefined;
  readonly state: State;
  readonly publish: RoomClient<T>["publish"];
  readonly signal: RoomClient<T>["signal"];
  readonly setPresence: RoomClient<T>["setPresence"];
  readonly call: RoomClient<T>["call"];
}

/** What the other hooks take: a {@link RoomHandle}, or `{ client }` with a client made by `connect`. */
export type HasClient<T extends RoomTypes> = Pick<RoomHandle<T>, "client">;

const IDLE: State = { name: "idle" };
const NOTHING = { client: undefined, state: IDLE };
const NONE: readonly never[] = [];

/**
 * Joins a room for as long as the component is mounted. Components that name the same `url`, `room` and user share one
 * connection, made with the options of the first.
 *
 * @param options as for `connect`. Only a `token` function is read again: the one of the latest render
 */
export function useRoom<T extends RoomTypes = RoomTypes>(url: Base, options: RoomOptions): RoomHandle<T> {
  const key = keyOf(url, options);
  const latest = useLatest(options);
  // A URL is a new object at every render: only its text counts.
  const address = typeof url === "string" ? url : url.href;
  const subscribe = useCallback(
    (listener: () => void) => {
      const release = hold(key, address, latest);
      const unsubscribe = viewOf(open<T>(key, address, latest)).subscribe(listener);
      return () => {
        unsubscribe();
        release();
      };
    },
    [key, address, latest],
  );
  const { client, state } = useSyncExternalStore<{ client: RoomClient<T> | undefined; state: State }>(
    subscribe,
    () => {
      const joined = clientAt<T>(key);
      return joined ? viewOf(joined).room : NOTHING;
    },
    () => NOTHING,
  );
  const actions = useMemo(() => {
    // Effects of children run before ours: what they do opens the connection that this component is going to hold.
    const now = () => open<T>(key, address, latest);
    return {
      publish: (...args: Parameters<RoomClient<T>["publish"]>) => now().publish(...args),
      signal: (...args: Parameters<RoomClient<T>["signal"]>) => now().signal(...args),
      setPresence: (...args: Parameters<RoomClient<T>["setPresence"]>) => now().setPresence(...args),
      call: (...args: Parameters<RoomClient<T>["call"]>) => now().call(...args),
    };
  }, [key, address, latest]);
  return useMemo(() => ({ client, state, ...actions }), [client, state, actions]);
}

/** The members who are here, by id. Renders when they or what they show changes. */
export function useMembers<T extends RoomTypes>(room: HasClient<T>): RoomEvents<T>["members"] {
  return useView<T, RoomEvents<T>["members"]>(room, (view) => view.members, NONE);
}

/**
 * The newest publications, oldest first: those of the room's default snapshot, and everything since.
 *
 * @param options `limit`: how many, default 100, at most 1,000
 */
export function usePublications<T extends RoomTypes>(
  room: HasClient<T>,
  { limit = 100 }: { limit?: number | undefined } = {},
): readonly RoomEvents<T>["publication"][] {
  const all = useView<T, readonly RoomEvents<T>["publication"][]>(room, (view) => view.publications, NONE);
  return useMemo(() => (limit > 0 ? all.slice(-limit) : NONE), [all, limit]);
}

/**
 * Signals of other sessions. Without `handler`: returns the newest signal and renders; of several in one turn it returns
 * only the last. With `handler`: calls it with each signal and does not render.
 */
export function useSignal<T extends RoomTypes>(room: HasClient<T>): RoomEvents<T>["signal"] | undefined;
export function useSignal<T extends RoomTypes>(
  room: HasClient<T>,
  handler: (signal: RoomEvents<T>["signal"]) => void,
): void;
export function useSignal<T extends RoomTypes>(
  room: HasClient<T>,
  handler?: (signal: RoomEvents<T>["signal"]) => void,
): RoomEvents<T>["signal"] | undefined {
  useListener(room, "signal", handler);
  return useView<T, RoomEvents<T>["signal"] | undefined>(
    room,
    (view) => (handler ? undefined : view.signal),
    undefined,
  );
}

/** Calls the `handler` of the latest render at every event of the client. Never renders. */
export function useRoomEvent<T extends RoomTypes, K extends keyof RoomEvents<T>>(
  room: HasClient<T>,
  event: K,
  handler: (value: RoomEvents<T>[K]) => void,
): void {
  useListener(room, event, handler);
}

function useView<T extends RoomTypes, V>({ client }: HasClient<T>, read: (view: View<T>) => V, none: V): V {
  const view = client && viewOf(client);
  return useSyncExternalStore(
    view?.subscribe ?? never,
    () => (view ? read(view) : none),
    () => none,
  );
}

function never(): () => void {
  return () => undefined;
}

function useListener<T extends RoomTypes, K extends keyof RoomEvents<T>>(
  { client }: HasClient<T>,
  event: K,
  handler: ((value: RoomEvents<T>[K]) => void) | undefined,
): void {
  const latest = useLatest(handler);
  useEffect(() => client?.on(event, (value) => latest.current?.(value)), [client, event, latest]);
}

/** The value of the latest committed render, for code that runs later. */
function useLatest<V>(value: V): { readonly current: V } {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}
