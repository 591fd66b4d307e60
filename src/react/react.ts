/**
 * Hooks over the client: each room is an external store, and all components that use it share one connection. The
 * published entry `edgerooms/react`. Knows no sockets and no frames.
 */
"use client";
import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
  type ReactElement,
  type ReactNode,
} from "react";
import type { Base, RoomClient, RoomEvents, RoomTypes, State } from "../client/client.ts";
import { clientAt, hold, keyOf, open, type RoomOptions } from "./registry.ts";
import { viewOf, type PendingPublish, type View } from "./view.ts";

export type { RoomOptions } from "./registry.ts";
export type { PendingPublish } from "./view.ts";

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
/** What a program without types leaves out: the client says what is missing. */
const NO_OPTIONS: RoomOptions = { room: "", token: "" };

/** What a `select` made, and of what. */
interface Selected {
  readonly members: unknown;
  readonly select: unknown;
  readonly value: unknown;
}

/** Of {@link RoomProvider}. */
export interface RoomProviderProps extends RoomOptions {
  /** Where the Worker is: the first argument of {@link useRoom}. */
  readonly url: Base;
  readonly children?: ReactNode;
}

const Provided = createContext<RoomHandle | undefined>(undefined);

/** Joins a room for as long as it is mounted. Below it `useRoom()` without arguments gives that room. */
export function RoomProvider({ url, children, ...options }: RoomProviderProps): ReactElement {
  return createElement(Provided.Provider, { value: useJoined<RoomTypes>(url, options) }, children);
}

/**
 * Joins a room for as long as the component is mounted. Components that name the same `url`, `room` and user share one
 * connection, made with the options of the first. Without arguments: the room of the {@link RoomProvider} above.
 *
 * @param options as for `connect`. Only a `token` function is read again: the one of the latest render
 * @throws TypeError without arguments, where there is no provider
 */
export function useRoom<T extends RoomTypes = RoomTypes>(): RoomHandle<T>;
export function useRoom<T extends RoomTypes = RoomTypes>(url: Base, options: RoomOptions): RoomHandle<T>;
export function useRoom<T extends RoomTypes = RoomTypes>(url?: Base, options?: RoomOptions): RoomHandle<T> {
  const provided = useContext(Provided);
  const joined = useJoined<T>(url, options);
  if (url !== undefined) return joined;
  if (!provided) throw new TypeError("useRoom() without arguments needs a RoomProvider above it");
  return provided;
}

/** Joins nothing without a `url`: hooks are called in every render. */
function useJoined<T extends RoomTypes>(url: Base | undefined, options: RoomOptions | undefined): RoomHandle<T> {
  const key = url === undefined ? undefined : keyOf(url, options ?? NO_OPTIONS);
  const latest = useLatest(options ?? NO_OPTIONS);
  // A URL is a new object at every render: only its text counts.
  const address = typeof url === "object" ? url.href : (url ?? "");
  const subscribe = useCallback(
    (listener: () => void) => {
      if (key === undefined) return () => undefined;
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
      const joined = key === undefined ? undefined : clientAt<T>(key);
      return joined ? viewOf(joined).room : NOTHING;
    },
    () => NOTHING,
  );
  const actions = useMemo(() => {
    // Effects of children run before ours: what they do opens the connection that this component is going to hold.
    const now = () => open<T>(key ?? "", address, latest);
    return {
      publish: (...args: Parameters<RoomClient<T>["publish"]>) => viewOf(now()).publish(...args),
      signal: (...args: Parameters<RoomClient<T>["signal"]>) => now().signal(...args),
      setPresence: (...args: Parameters<RoomClient<T>["setPresence"]>) => now().setPresence(...args),
      call: (...args: Parameters<RoomClient<T>["call"]>) => now().call(...args),
    };
  }, [key, address, latest]);
  return useMemo(() => ({ client, state, ...actions }), [client, state, actions]);
}

/**
 * The members who are here, by id, or what `select` makes of them. Renders when that changes.
 *
 * @param isEqual whether two results of `select` are the same. Default: the same value, or arrays of the same values
 */
export function useMembers<T extends RoomTypes>(room: HasClient<T>): RoomEvents<T>["members"];
export function useMembers<T extends RoomTypes, V>(
  room: HasClient<T>,
  select: (members: RoomEvents<T>["members"]) => V,
  isEqual?: (a: V, b: V) => boolean,
): V;
export function useMembers<T extends RoomTypes>(
  room: HasClient<T>,
  select: (members: RoomEvents<T>["members"]) => unknown = itself,
  isEqual: (a: never, b: never) => boolean = areAlike,
): unknown {
  const view = room.client && viewOf(room.client);
  const last = useRef<Selected | undefined>(undefined);
  const look = () => {
    const members = view?.members ?? NONE;
    const { current } = last;
    // Once for the same members: React renders again when it gets another object, and would never end.
    if (current?.members === members && current.select === select) return current.value;
    const value: unknown = select(members);
    const isSame = current && isEqual(current.value as never, value as never);
    last.current = { members, select, value: isSame ? current.value : value };
    return last.current.value;
  };
  return useSyncExternalStore(view?.subscribe ?? never, look, look);
}

/** This member as the others see it: `undefined` before the first welcome, and after its leave was announced. */
export function useSelf<T extends RoomTypes>(room: HasClient<T>): RoomEvents<T>["members"][number] | undefined {
  return useView<T, RoomEvents<T>["members"][number] | undefined>(
    room,
    (view) => view.members.find(({ id }) => id === view.room.client.me),
    undefined,
  );
}

/** The newest snapshot of the room, also for a component that mounts later. `undefined` before the first reset. */
export function useSnapshot<T extends RoomTypes>(room: HasClient<T>): RoomEvents<T>["reset"] | undefined {
  return useView<T, RoomEvents<T>["reset"] | undefined>(room, (view) => view.reset, undefined);
}

/** What components have published with {@link useRoom} and the room has not acknowledged yet, oldest first. */
export function usePending<T extends RoomTypes>(room: HasClient<T>): readonly PendingPublish<T>[] {
  return useView<T, readonly PendingPublish<T>[]>(room, (view) => view.pending, NONE);
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

function itself<V>(value: V): V {
  return value;
}

/** Whether two values are the same, or arrays of the same values. */
function areAlike(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
  return a.every((value, i) => Object.is(value, b[i]));
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
