/** Listeners by event name. A listener that throws does not stop the others. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();
  /** The event whose listeners are being called, and those that happened meanwhile. */
  readonly #queue: [keyof Events, unknown][] = [];

  /** Calls `listener` at every event from the next one on. Returns a function that ends that. */
  on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    // A function of its own, so that a listener added twice is called twice, and each is removed alone.
    const own = (value: never) => listeners.has(own) && listener(value);
    this.#listeners.set(event, listeners.add(own));
    return () => listeners.delete(own);
  }

  /**
   * Calls every listener of this event. An event that a listener causes comes after it: all listeners are told of both in
   * the same order.
   */
  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    if (this.#queue.push([event, value]) > 1) return;
    // Those that are added meanwhile are reached, too.
    for (const [name, what] of this.#queue) {
      // The listeners of now: one that ends itself and listens anew must not be called for ever.
      for (const listener of Array.from(this.#listeners.get(name) ?? [])) {
        try {
          listener(what as never);
        } catch (error) {
          // The program's own mistake: it surfaces as an uncaught error.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
    this.#queue.length = 0;
  }
}
