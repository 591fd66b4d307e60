/**
 * What stands between clients and the object, in place of the Worker: it reads tokens, builds admissions, and answers
 * requests, each with the network's latency. Makes no JWTs: a token is its claims.
 */
import { readAttempt, readResume, type Admission, type Credentials } from "../../../src/room/admission.ts";
import { codes, type CodeName } from "../../../src/protocol/codes.ts";
import type { RoomHost } from "../../../src/room/runtime/host.ts";
import type { ClientEnd } from "./client-end.ts";
import type { Weather } from "./link.ts";
import type { RelayHost } from "../../../src/room/runtime/relay-host.ts";
import type { SimObject } from "./object.ts";
import type { Relays } from "./relays.ts";
import type { Chance } from "./random.ts";
import type { Timeline } from "./timeline.ts";
import type { Wire } from "./wire.ts";

/** Kind and name of the one room. */
export const ROOM = { kind: "sim", room: "room" } as const;

/** A token is this as text. Times in ms since the epoch. */
export type Claims = Credentials;

export interface EdgeParts {
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly weather: Weather;
  /** Where the room and its relays are. */
  readonly world: { readonly object: SimObject<RoomHost>; readonly relays: Relays };
  readonly wall: () => number;
}

type Answered<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly code: CodeName };

/** The way into the room. */
export class Edge {
  readonly #parts: EdgeParts;
  #requests = 0;

  constructor(parts: EdgeParts) {
    this.#parts = parts;
  }

  /** Opens a WebSocket for a client's end; what comes of it is told to that end. */
  async dial(end: ClientEnd, query: URLSearchParams, token: string): Promise<void> {
    await this.travel();
    if (end.isGone) return;
    const { wall } = this.#parts;
    const credentials = this.#verify(token);
    const resume = readResume(query);
    const attempt = readAttempt(query);
    if (!credentials || resume === null || attempt === null) {
      return this.#refuse(end, { code: credentials ? "bad_resume" : "token_expired" });
    }
    const admission: Admission = {
      ...ROOM,
      credentials,
      requestId: `request-${++this.#requests}`,
      receivedAt: wall(),
      ...(resume && { resume }),
      credit: query.get("credit") === "1",
      ...(attempt && { attempt }),
    };
    let result: Awaited<ReturnType<RoomHost["connect"]>> | undefined;
    try {
      result = await this.#open(admission);
    } catch {
      return this.#fail(end);
    }
    if (!result.ok) return this.#refuse(end, result);
    const wire = result.client as unknown as Wire;
    await this.travel();
    if (!end.open(wire)) wire.cut();
  }

  /** Opens a connection at a relay, or where all of them are full, with the room; now and then there at once. */
  async #open(admission: Admission): ReturnType<RoomHost["connect"]> {
    const { chance, world } = this.#parts;
    const { object, relays } = world;
    const order = relays.objects.map((_, i) => i);
    const first = chance.below(order.length + 1);
    for (const nth of [...order.slice(first), ...order.slice(0, first)]) {
      if (first === order.length) break;
      const via = { relay: relays.addressOf(nth), home: relays.home, each: relays.each };
      const result = await relays.objects[nth]?.call(({ relay }) => relay.connect({ ...admission, via }));
      if (result && !("isFull" in result)) return result;
    }
    return object.call((host) => host.connect(admission));
  }

  /** The same of a relay. */
  async requestAt<T>(
    name: string,
    token: string,
    run: (relay: RelayHost, credentials: Credentials) => Promise<T>,
  ): Promise<Answered<T>> {
    const credentials = this.#verify(token);
    const { objects } = this.#parts.world.relays;
    const object = objects[Number(name.slice("relay-".length))];
    if (!credentials || !object) return { ok: false, code: "token_expired" };
    try {
      const value = await object.call(({ relay }) => run(relay, credentials));
      await this.travel();
      return { ok: true, value };
    } catch {
      return { ok: false, code: "unavailable" };
    }
  }

  /** A request over HTTP: there and back. The answer says `unavailable` when the object died meanwhile. */
  async request<T>(token: string, run: (host: RoomHost, credentials: Credentials) => Promise<T>): Promise<Answered<T>> {
    await this.travel();
    const credentials = this.#verify(token);
    if (!credentials) return { ok: false, code: "token_expired" };
    try {
      const value = await this.#parts.world.object.call((host) => run(host, credentials));
      await this.travel();
      return { ok: true, value };
    } catch {
      return { ok: false, code: "unavailable" };
    }
  }

  /** The caller, as the room wants to know it. */
  caller(credentials: Credentials) {
    return { ...ROOM, credentials, requestId: `request-${++this.#requests}` };
  }

  /** Once over the network. */
  travel(): Promise<void> {
    const { timeline, chance, weather } = this.#parts;
    return new Promise((resolve) => timeline.after(chance.between(weather.low, weather.high), resolve, chance.float()));
  }

  #verify(token: string): Credentials | undefined {
    const claims = JSON.parse(token) as Claims;
    return claims.expires > this.#parts.wall() ? claims : undefined;
  }

  async #refuse(end: ClientEnd, refusal: { code: CodeName; message?: string; retryAfter?: number }): Promise<void> {
    await this.travel();
    const { code, message, retryAfter } = refusal;
    const close = codes[code].close ?? codes.internal.close;
    end.refuse(
      JSON.stringify({
        type: "bye",
        code: close,
        reason: code,
        ...(message !== undefined && { message }),
        ...(retryAfter !== undefined && { retryAfter }),
      }),
      close,
      code,
    );
  }

  async #fail(end: ClientEnd): Promise<void> {
    await this.travel();
    end.fail();
  }
}
