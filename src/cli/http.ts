/**
 * The HTTP API as commands see it: where it is, with which token, and what is tried again. Operations, their paths and
 * the types of their answers come from protocol/api.ts. Never lets a token into a message.
 */
import { setTimeout as sleep } from "node:timers/promises";
import {
  roomRoutes,
  ROOMS_PATH,
  type FailureList,
  type RoomOperation,
  type RoomOperations,
  type RoomPage,
} from "../protocol/api.ts";
import type { Named } from "./address.ts";
import { Failure, Misuse, type Words } from "./command.ts";
import { readReply, RequestFailed } from "./reply.ts";
import { visible } from "./text.ts";

/** What an operation takes besides the room. */
export interface Ask<O extends RoomOperation> {
  readonly body?: RoomOperations[O]["body"];
  /** Instead of `body`: JSON text that is sent as it is. */
  readonly text?: string;
  /** Without its question mark. */
  readonly query?: string;
  /** An Idempotency-Key: makes a POST one that can be sent again without taking effect again. */
  readonly key?: string;
}

/** What came of a request. */
export interface Answer<T> {
  readonly value: T;
  /** Whether the server had done it before, under the same key. */
  readonly repeated: boolean;
}

interface Outgoing {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly fields: readonly string[];
  /** JSON text. */
  readonly body?: string | undefined;
  readonly key?: string | undefined;
}

const DEFAULT_URL = "http://localhost:8787";
const TRIES = 3;
/** Of a request that the server was too busy for: it had no effect. A command that goes through many rooms meets that. */
const TRIES_WHEN_LIMITED = 20;
/** Before the second try, in ms; twice that before the third. */
const BACKOFF_MS = 250;
/** The longest that a server can make us wait, in ms. One that asks for more gets no further try. */
const MAX_WAIT_MS = 30_000;
/** How long a command waits for an answer until its last byte, in ms: all tries together, pauses between them apart. */
const PATIENCE_MS = 10_000;
/** The shape of bearer tokens (RFC 6750). fetch would print anything else in its error. */
const TOKEN = /^[\w.~+/-]+=*$/;

/** A server, and the token that it is asked with. */
export class Server {
  readonly #base: string;
  readonly #token: string;

  /**
   * @param url instead of --url and EDGEROOMS_URL
   * @throws Misuse, Failure
   */
  constructor(words: Words, url = words.text("url") ?? (process.env["EDGEROOMS_URL"] || DEFAULT_URL)) {
    this.#base = baseOf(url);
    const given = words.text("token");
    // A variable of a script that is not set: the token of somebody else must not take its place.
    if (given === "") throw new Misuse("--token is empty.");
    const token = given ?? process.env["EDGEROOMS_TOKEN"];
    if (!token)
      throw new Failure("There is no token. Set EDGEROOMS_TOKEN, or give --token; `edgerooms token` makes one.");
    if (!TOKEN.test(token)) throw new Failure("The token is invalid: it has characters that no token has.");
    this.#token = token;
  }

  /**
   * Does an operation in a room. A GET, and a POST with a key, is tried 3 times.
   *
   * @throws RequestFailed
   */
  async ask<O extends RoomOperation>(
    operation: O,
    room: Pick<Named, "path">,
    { body, text, query, key }: Ask<O> = {},
  ): Promise<Answer<RoomOperations[O]["answer"]>> {
    const { method, path, answers: fields } = roomRoutes[operation];
    return this.#send({
      method,
      path: `${room.path}${path}${query === undefined ? "" : `?${query}`}`,
      fields,
      body: text ?? (body && JSON.stringify(body)),
      key,
    });
  }

  /**
   * A page of rooms.
   *
   * @param cursor `next` of the page before
   * @param dead rooms with undelivered events instead of live ones
   * @throws RequestFailed
   */
  async rooms({ cursor, dead }: { readonly cursor: string | undefined; readonly dead: boolean }): Promise<RoomPage> {
    const query = new URLSearchParams({ ...(cursor !== undefined && { cursor }), ...(dead && { dead: "1" }) });
    const path = query.size === 0 ? ROOMS_PATH : `${ROOMS_PATH}?${query.toString()}`;
    return (await this.#send<RoomPage>({ method: "GET", path, fields: ["rooms"] })).value;
  }

  /**
   * The newest failures of all rooms.
   *
   * @throws RequestFailed
   */
  async failures(): Promise<FailureList> {
    return (await this.#send<FailureList>({ method: "GET", path: "/failures", fields: ["failures"] })).value;
  }

  async #send<T extends object>(outgoing: Outgoing): Promise<Answer<T>> {
    let patience = PATIENCE_MS;
    for (let tries = 1; ; tries++) {
      const began = performance.now();
      try {
        return await this.#once(outgoing, patience);
      } catch (error) {
        patience -= performance.now() - began;
        // A timer may ring a little early: what is left of the wait must be worth another try.
        if (!(error instanceof RequestFailed) || patience < BACKOFF_MS) throw error;
        const isLimited = error.code === "rate_limited";
        const isRepeatable =
          isLimited || (error.isTransient && (outgoing.method === "GET" || outgoing.key !== undefined));
        if (!isRepeatable || tries >= (isLimited ? TRIES_WHEN_LIMITED : TRIES)) throw error;
        const wait = error.retryAfter ?? BACKOFF_MS * tries * (0.5 + Math.random());
        if (wait > MAX_WAIT_MS) throw error;
        await sleep(wait);
      }
    }
  }

  async #once<T extends object>(outgoing: Outgoing, patience: number): Promise<Answer<T>> {
    const { method, path, fields, body, key } = outgoing;
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}`, accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    if (key !== undefined) headers["idempotency-key"] = key;
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${this.#base}${path}`, {
        method,
        headers,
        ...(body !== undefined && { body }),
        redirect: "manual",
        signal: AbortSignal.timeout(Math.ceil(patience)),
      });
      text = await response.text();
    } catch (error) {
      throw new RequestFailed(`${this.#base}: ${reasonOf(error)}`, true);
    }
    const value = readReply(`${this.#base}${path}`, response, text, fields) as T;
    return { value, repeated: response.headers.get("idempotent-replayed") === "true" };
  }
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !["http:", "https:"].includes(parsed.protocol)) {
    throw new Misuse(
      "The URL of the server is invalid: it is such as https://rooms.example.com or http://localhost:8787.",
    );
  }
  if (parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new Misuse("The URL of a server is its origin, and a path if rooms are mounted under one: nothing else.");
  }
  return parsed.href.replace(/\/+$/, "");
}

function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === "TimeoutError") return `no answer within ${PATIENCE_MS / 1_000} s`;
  const why = cause?.code ?? cause?.message;
  return visible(why ? `${message} (${why})` : message);
}
