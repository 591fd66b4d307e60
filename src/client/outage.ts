/** Tells when a client has been without its line for longer than a blink, and when it is back. Knows no connection. */
import type { Emitter } from "./emitter.ts";
import type { RoomEvents } from "./events.ts";
import { after } from "./timer.ts";

/** Emits `lost` once a line has been gone for `afterMs`, and `restored` when the client is in the room again. */
export function watchOutages(events: Emitter<RoomEvents>, afterMs: number): void {
  let last = "";
  let since = 0;
  let isShown = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  events.on("state", ({ name }) => {
    if (name === "open" || name === "closed") {
      clearTimeout(timer as never);
      if (name === "open" && isShown) events.emit("restored", { since, lasted: Date.now() - since });
      isShown = false;
    } else if (last === "open") {
      since = Date.now();
      timer = after(afterMs, () => {
        isShown = true;
        events.emit("lost", { since });
      });
    }
    last = name;
  });
}
