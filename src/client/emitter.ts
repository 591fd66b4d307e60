/** Listeners by event name. A listener that throws stops nobody else. */
export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** Calls `listener` at every event; returns what ends that. */
  on<K extends keyof Events>(event: K, listener: (value: Events[K]) => void): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    // A function of its own, so that who listens twice with the same one is told twice and stops each alone.
    const own = (value: never) => listener(value);
    this.#listeners.set(event, listeners.add(own));
    return () => listeners.delete(own);
  }

  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(value as never);
      } catch (error) {
        // The program's own mistake: it belongs to whoever watches for uncaught errors.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
