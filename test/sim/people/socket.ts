/** The WebSocket class that the client's real modules get in a simulation: a client's end of a simulated wire. */
import { decodeServer } from "../../../src/protocol/codec.ts";
import { BEARER_PREFIX, PING, type ClientFrame } from "../../../src/protocol/frames.ts";
import type { Asked, Ear } from "../oracle/ear.ts";
import type { Stamp } from "../oracle/history.ts";
import { ClientEnd, type EndEvents, type Tap } from "../world/client-end.ts";
import type { World } from "../world/world.ts";

/** What was known when the room sent what is being handed over right now. */
export interface Delivering {
  of: Stamp | undefined;
}

type Listener = (event: { data?: unknown; code?: number; reason?: string }) => void;

/** What a query asks to continue from. */
export function askedOf(query: URLSearchParams): Asked | undefined {
  const session = query.get("session");
  const epoch = query.get("epoch");
  if (session === null) return undefined;
  return { session, position: epoch === null ? undefined : { epoch, offset: Number(query.get("offset")) } };
}

/** Lets an ear judge what passes a client's end. */
export function tapOf(world: World, ear: Ear, delivering?: Delivering): Tap {
  return {
    heard(text, value, deliver) {
      const stamp = (value as Stamp | undefined) ?? world.oracle.stamp;
      world.trace.note(world.timeline.now, `${ear.user} <`, text);
      if (!ear.isOver) {
        ear.frames = decodeServer(text) ?? [];
        for (const frame of ear.frames) {
          ear.hears(frame, stamp);
          world.oracle.judged++;
        }
        if (ear.bye !== undefined) ear.isOver = true;
        else if (value) world.oracle.sawOpen(ear, stamp.at);
      }
      if (delivering) delivering.of = stamp;
      deliver();
    },
    sent(text) {
      world.trace.note(world.timeline.now, `${ear.user} >`, text);
      if (text === PING) return;
      const frames = parse(text);
      for (const frame of frames) ear.sends(frame);
    },
    over() {
      ear.isOver = true;
    },
  };
}

/** A WebSocket class whose sockets lead into this world. */
export function socketClass(
  world: World,
  user: string,
  opened: (end: ClientEnd, ear: Ear, delivering: Delivering) => void,
) {
  return class SimWebSocket {
    readonly #end: ClientEnd;
    readonly #listeners = new Map<string, Listener[]>();

    constructor(url: string, protocols: string[]) {
      const query = new URL(url).searchParams;
      const token = decodeToken(protocols.find((name) => name.startsWith(BEARER_PREFIX)) ?? "");
      const ear = world.oracle.listen(user, askedOf(query), query.get("credit") === "1");
      const events: EndEvents = {
        open: () => this.#emit("open", {}),
        text: (data) => this.#emit("message", { data }),
        closed: (code, reason) => this.#emit("close", { code, reason }),
        failed: () => this.#emit("error", {}),
      };
      const delivering = { of: undefined };
      this.#end = new ClientEnd(events, tapOf(world, ear, delivering));
      opened(this.#end, ear, delivering);
      world.edge.dial(this.#end, query, token).catch((error: unknown) => world.fail(error));
    }

    get readyState(): number {
      return this.#end.state;
    }

    get bufferedAmount(): number {
      return 0;
    }

    send(data: string): void {
      this.#end.send(data);
    }

    close(code?: number, reason?: string): void {
      this.#end.close(code, reason);
    }

    addEventListener(type: string, listener: Listener): void {
      const listeners = this.#listeners.get(type) ?? [];
      listeners.push(listener);
      this.#listeners.set(type, listeners);
    }

    removeEventListener(type: string, listener: Listener): void {
      this.#listeners.set(
        type,
        (this.#listeners.get(type) ?? []).filter((other) => other !== listener),
      );
    }

    #emit(type: string, event: Parameters<Listener>[0]): void {
      for (const listener of this.#listeners.get(type) ?? []) listener(event);
    }
  };
}

/** A token as text that a subprotocol can carry. */
export function encodeToken(claims: object): string {
  return Buffer.from(JSON.stringify(claims)).toString("base64url");
}

/** The claims of a token, as text. */
export function decodeToken(token: string): string {
  return Buffer.from(token.slice(token.startsWith(BEARER_PREFIX) ? BEARER_PREFIX.length : 0), "base64url").toString();
}

function parse(text: string): ClientFrame[] {
  try {
    const value: unknown = JSON.parse(text);
    const list: unknown[] = Array.isArray(value) ? value : [value];
    // What is no frame says nothing to the oracle.
    return list.filter((frame) => typeof frame === "object" && frame !== null && "type" in frame) as ClientFrame[];
  } catch {
    return [];
  }
}
