/** A client's events as an async iterator. */
import type { RoomTypes } from "../protocol/room-types.ts";
import type { RoomEvents } from "./events.ts";

type Next<Item> = IteratorResult<Item, undefined>;

/** What iterations give: for `for await`, or to be asked by hand. */
export interface Stream<Item> extends AsyncIterableIterator<Item> {
  next(): Promise<Next<Item>>;
  /** Ends it, with every `next()` that waits. */
  return(): Promise<Next<Item>>;
  [Symbol.asyncIterator](): this;
}

interface Source<T extends RoomTypes> {
  readonly state: { readonly name: string };
  on<K extends keyof RoomEvents<T>>(event: K, listener: (value: RoomEvents<T>[K]) => void): () => void;
}

const OVER = { done: true, value: undefined } as const;

/**
 * What `item` makes of these events of a room, from the first `next()` on. What came before the client was closed is given
 * first, and then it is over.
 */
export function iterate<T extends RoomTypes, K extends keyof RoomEvents<T>, Item>(
  room: Source<T>,
  events: readonly K[],
  item: (event: K, value: RoomEvents<T>[K]) => Item,
): Stream<Item> {
  let items: Item[] = [];
  let waiting: ((next: Next<Item>) => void)[] = [];
  let stops: (() => void)[] | undefined;
  let isOver = false;
  const end = () => {
    isOver = true;
    for (const stop of stops ?? []) stop();
    for (const resolve of waiting) resolve(OVER);
    waiting = [];
  };
  const look = ({ name }: { readonly name: string }) => name === "closed" && end();
  const start = () => {
    stops = events.map((event) =>
      room.on(event, (value) => {
        const resolve = waiting.shift();
        if (resolve) resolve({ value: item(event, value) });
        else items.push(item(event, value));
      }),
    );
    // Last of all: an iteration of states has the last one too.
    stops.push(room.on("state", look));
    look(room.state);
  };
  const stream: Stream<Item> = {
    async next() {
      if (!stops) start();
      if (items.length > 0) return { value: items.shift() as Item };
      return isOver ? OVER : new Promise((resolve) => waiting.push(resolve));
    },
    async return() {
      stops ??= [];
      items = [];
      end();
      return OVER;
    },
    [Symbol.asyncIterator]: () => stream,
  };
  return stream;
}
