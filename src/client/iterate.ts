/** A client's events as an async iterator. Knows no client. */

type Stop = () => void;
type Next<Item> = IteratorResult<Item, undefined>;

const OVER = { done: true, value: undefined } as const;

/** What {@link iterate} returns: for `for await`, or to be asked by hand. */
export interface Stream<Item> extends AsyncIterableIterator<Item> {
  next(): Promise<Next<Item>>;
  /** Ends it, with a `next()` that waits. */
  return(): Promise<Next<Item>>;
  [Symbol.asyncIterator](): this;
}

/**
 * Gives what `listen` pushes, from the first `next()` on and until it calls `end`. What was pushed before that is given
 * first; `return()` gives nothing more, and ends a `next()` that waits.
 *
 * @param listen begins to listen, and returns the functions that end that
 */
export function iterate<Item>(listen: (push: (item: Item) => void, end: Stop) => readonly Stop[]): Stream<Item> {
  const items: Item[] = [];
  const waiting: ((next: Next<Item>) => void)[] = [];
  let stops: readonly Stop[] | undefined;
  let isOver = false;
  const end = () => {
    isOver = true;
    for (const stop of stops ?? []) stop();
    for (const resolve of waiting.splice(0)) resolve(OVER);
  };
  const push = (value: Item) => {
    const resolve = waiting.shift();
    if (resolve) resolve({ done: false, value });
    else items.push(value);
  };
  const stream: Stream<Item> = {
    async next() {
      if (!isOver) stops ??= listen(push, end);
      // It may have ended at once.
      if (isOver) end();
      if (items.length > 0) return { done: false, value: items.shift() as Item };
      return isOver ? OVER : new Promise((resolve) => waiting.push(resolve));
    },
    async return() {
      items.length = 0;
      end();
      return OVER;
    },
    [Symbol.asyncIterator]: () => stream as never,
  };
  return stream;
}
