/** Listeners by event name. A listener that throws does not stop the others. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** Calls `listener` at every event. Returns a function that ends that. */
  on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    // A function of its own, so that a listener added twice is called twice, and each is removed alone.
    const own = (value: never) => listener(value);
    this.#listeners.set(event, listeners.add(own));
    return () => listeners.delete(own);
  }

  /** Calls every listener of this event. */
  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
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
