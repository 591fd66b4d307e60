/** What tells the client that a line may have died, or that one may work again: the network and the page, where there are. */

interface Target {
  // Absent where a global object has no events, as in React Native.
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

/** What a {@link watchPage} reports. */
export interface PageEvents {
  /** The network is back. */
  readonly online: () => void;
  /** The network is gone. */
  readonly offline: () => void;
  /** The page can be seen again. */
  readonly visible: () => void;
}

/** Watches page and network, in workers too, until the function that it returns is called. */
export function watchPage({ online, offline, visible }: PageEvents): () => void {
  const { document } = globalThis as { document?: Target & { readonly visibilityState: string } };
  // A page that is being hidden may be frozen at once, and would take its probe for unanswered when it thaws.
  const look = () => document?.visibilityState === "visible" && visible();
  const watched: [Target | undefined, string, () => void][] = [
    [globalThis, "online", online],
    [globalThis, "offline", offline],
    [document, "visibilitychange", look],
  ];
  // Some platforms have a global object, or a document of their own, without events: React Native, for one.
  for (const [target, type, listener] of watched) target?.addEventListener?.(type, listener);
  return () => {
    for (const [target, type, listener] of watched) target?.removeEventListener?.(type, listener);
  };
}
