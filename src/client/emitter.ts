/** Listeners by event name. A listener that throws does not stop the others. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();
  /** Events that are not over: the listeners of the first one are being called, the others happened meanwhile. */
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
    this.#queue.push([event, value]);
    if (this.#queue.length > 1) return;
    for (let next; (next = this.#queue[0]); this.#queue.shift()) this.#call(...next);
  }

  #call(event: keyof Events, value: unknown): void {
    // Those of now: a listener that ends itself and listens anew must not be called for ever.
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(value as never);
      } catch (error) {
        // The program's own mistake: it surfaces as an uncaught error.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
