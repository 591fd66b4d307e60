/** What tells the client of a page that a connection may work again. Does nothing outside of browsers. */

interface Target {
  // Absent where `window` is only a name of the global object, as in React Native.
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

/** Calls `wake` when the network is back or the page is visible again. Returns a function that ends that. */
export function watchPage(wake: () => void): () => void {
  const { document, window } = globalThis as {
    document?: Target & { readonly visibilityState: string };
    window?: Target;
  };
  // A page that is being hidden may be frozen at once, and would take its probe for unanswered when it thaws.
  const look = () => document?.visibilityState === "visible" && wake();
  window?.addEventListener?.("online", wake);
  document?.addEventListener?.("visibilitychange", look);
  return () => {
    window?.removeEventListener?.("online", wake);
    document?.removeEventListener?.("visibilitychange", look);
  };
}
