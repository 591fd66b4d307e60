/**
 * The view of one client for React: values that stay the same objects until something changes. Knows no hooks and no
 * registry.
 */
import type { RoomClient, RoomEvents, RoomTypes, State } from "../client/client.ts";

/** A publish of this page that the room has not acknowledged. */
export interface PendingPublish<T extends RoomTypes> {
  /** Its own, for React's `key`. */
  readonly id: number;
  readonly data: Parameters<RoomClient<T>["publish"]>[0];
}

/** Publications that {@link View.publications} has, at most. */
const KEEP = 1_000;

const views = new WeakMap<object, unknown>();

/** The one view of a client. It sees events from the first call on. */
export function viewOf<T extends RoomTypes>(client: RoomClient<T>): View<T> {
  const view = (views.get(client) as View<T> | undefined) ?? new View(client);
  views.set(client, view);
  return view;
}

/** A view of one client, for as long as the client lives. */
export class View<T extends RoomTypes> {
  readonly #listeners = new Set<() => void>();
  readonly #kept: RoomEvents<T>["publication"][] = [];
  #publications: readonly RoomEvents<T>["publication"][] | undefined = [];
  /** The client and its state, as one value: the client is the same for the life of the view. */
  room: { readonly client: RoomClient<T>; readonly state: State };
  members: RoomEvents<T>["members"];
  /** The newest signal. */
  signal: RoomEvents<T>["signal"] | undefined;
  /** The newest reset. */
  reset: RoomEvents<T>["reset"] | undefined;
  /** What {@link publish} sent and the room has not acknowledged, oldest first. */
  pending: readonly PendingPublish<T>[] = [];
  #published = 0;

  constructor(client: RoomClient<T>) {
    this.room = { client, state: client.state };
    this.members = client.members;
    client.on("state", (state) => this.#change(() => (this.room = { client, state })));
    client.on("members", (members) => this.#change(() => (this.members = members)));
    client.on("signal", (signal) => this.#change(() => (this.signal = signal)));
    client.on("publication", (item) => this.#change(() => this.#keep([item])));
    client.on("reset", (reset) =>
      this.#change(() => {
        const { data } = reset;
        this.reset = reset;
        this.#kept.length = 0;
        // A room's default snapshot. Any other snapshot only the program can read, from the event.
        this.#keep(arePublications<T>(data) ? data : []);
      }),
    );
  }

  /** The newest publications, oldest first. */
  get publications(): readonly RoomEvents<T>["publication"][] {
    return (this.#publications ??= this.#kept.slice(-KEEP));
  }

  /** Calls `listener` after every change. Returns a function that ends that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Publishes as the client does. */
  async publish(...args: Parameters<RoomClient<T>["publish"]>): ReturnType<RoomClient<T>["publish"]> {
    const entry = { id: ++this.#published, data: args[0] };
    this.#change(() => (this.pending = [...this.pending, entry]));
    try {
      return await this.room.client.publish(...args);
    } finally {
      this.#change(() => (this.pending = this.pending.filter((other) => other !== entry)));
    }
  }

  #keep(items: readonly RoomEvents<T>["publication"][]): void {
    this.#kept.push(...items);
    // Moves a thousand items once in a thousand publications, not at each.
    if (this.#kept.length > 2 * KEEP) this.#kept.splice(0, this.#kept.length - KEEP);
    this.#publications = undefined;
  }

  #change(change: () => void): void {
    change();
    for (const listener of this.#listeners) listener();
  }
}

function arePublications<T extends RoomTypes>(data: unknown): data is RoomEvents<T>["publication"][] {
  return (
    Array.isArray(data) &&
    data.every(
      (item: unknown) => typeof item === "object" && item !== null && "offset" in item && "by" in item && "at" in item,
    )
  );
}
