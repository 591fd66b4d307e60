/** A client's publications as an async iterator. */

interface Source<Item> {
  readonly state: { readonly name: string };
  on(event: "publication", listener: (item: Item) => void): () => void;
  on(event: "state", listener: () => void): () => void;
}

/** Publications from the first `next()` on, until the client is closed. */
export async function* publicationsOf<Item>(room: Source<Item>): AsyncGenerator<Item, void> {
  const items: Item[] = [];
  let wake = () => {};
  const stops = [room.on("publication", (item) => (items.push(item), wake())), room.on("state", () => wake())];
  try {
    while (true) {
      if (items.length > 0) yield items.shift() as Item;
      else if (room.state.name === "closed") return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    for (const stop of stops) stop();
  }
}
