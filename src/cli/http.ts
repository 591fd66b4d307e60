/**
 * The HTTP API as commands see it: where it is, who asks, what is tried again, and how its problems read in one line.
 * Never lets a token into a message. Knows nothing of any command's result but that it is an object.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Failure, Misuse, type Words } from "./command.ts";
import { visible } from "./text.ts";

/** What a request needs besides its address. */
export interface Ask {
  readonly method?: "GET" | "POST";
  /** JSON text. */
  readonly body?: string;
  /** Makes a POST one that can be sent again without taking effect again. */
  readonly key?: string;
}

/** A request that did not get what it asked for. */
export class RequestFailed extends Failure {
  /** Whether the same request may succeed later: the network, or 502, 503 and 504. */
  readonly passing: boolean;
  /** ms that the server wants to be left alone for. */
  readonly retryAfter: number | undefined;

  constructor(message: string, passing: boolean, retryAfter?: number) {
    super(message);
    this.passing = passing;
    this.retryAfter = retryAfter;
  }
}

const DEFAULT_URL = "http://localhost:8787";
const TRIES = 3;
/** ms before the second try; twice that before the third. */
const BACKOFF = 250;
/** The longest a server can make us wait, in ms; who is told to wait longer is told so instead. */
const PATIENCE = 30_000;
/** ms that one try may take, until its last byte. */
const TIMEOUT = 30_000;
const PASSING = [502, 503, 504];
/** The shape of bearer tokens (RFC 6750). fetch would print anything else in its complaint. */
const TOKEN = /^[\w.~+/-]+=*$/;

/** A server and the one who asks it. */
export class Server {
  readonly #base: string;
  readonly #token: string;

  /**
   * @param url instead of --url and EDGEROOMS_URL
   * @throws Misuse, Failure
   */
  constructor(words: Words, url = words.text("url") || process.env["EDGEROOMS_URL"] || DEFAULT_URL) {
    this.#base = baseOf(url);
    const token = words.text("token") || process.env["EDGEROOMS_TOKEN"];
    if (!token)
      throw new Failure("There is no token. Set EDGEROOMS_TOKEN, or give --token; `edgerooms token` makes one.");
    if (!TOKEN.test(token)) throw new Failure("The token is not one: it holds characters that no token has.");
    this.#token = token;
  }

  /**
   * The JSON object that answers. What can be sent twice is tried 3 times.
   *
   * @param must fields without which it is not the answer
   * @throws RequestFailed
   */
  async ask<T extends object>(path: string, must: readonly (keyof T & string)[], ask: Ask = {}): Promise<Answer<T>> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#once(path, must, ask);
      } catch (error) {
        if (!(error instanceof RequestFailed) || !error.passing || tries === TRIES) throw error;
        if (ask.method === "POST" && ask.key === undefined) throw error;
        const wait = error.retryAfter ?? BACKOFF * tries * (0.5 + Math.random());
        if (wait > PATIENCE) throw error;
        await sleep(wait);
      }
    }
  }

  async #once<T extends object>(
    path: string,
    must: readonly (keyof T & string)[],
    { method = "GET", body, key }: Ask,
  ): Promise<Answer<T>> {
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
        signal: AbortSignal.timeout(TIMEOUT),
      });
      text = await response.text();
    } catch (error) {
      throw new RequestFailed(`${this.#base}: ${reasonOf(error)}`, true);
    }
    const answer = objectIn(text);
    if (!response.ok) throw this.#refusal(response, answer);
    if (!answer || !must.every((field) => field in answer)) {
      throw new RequestFailed(
        `${this.#base}${path} answers, but not as edgerooms does. Is that where the rooms are?`,
        false,
      );
    }
    return { value: answer as T, repeated: response.headers.get("idempotent-replayed") === "true" };
  }

  /** A problem in one line: status, title, detail, and the id to look for in the logs. */
  #refusal(response: Response, problem: Readonly<Record<string, unknown>> = {}): RequestFailed {
    const { status, statusText, headers } = response;
    const location = headers.get("location");
    const { title = statusText, detail, requestId } = problem;
    const words = [status, title, detail].filter((word) => word !== undefined && word !== "");
    if (status >= 300 && status < 400 && location) words.push(`It has moved to ${location}: say so with --url.`);
    const id = typeof requestId === "string" ? ` (request ${requestId})` : "";
    return new RequestFailed(visible(`${words.join(" ")}${id}`), PASSING.includes(status), waitIn(headers));
  }
}

/** What came of a request. */
export interface Answer<T> {
  readonly value: T;
  /** Whether the server had done it before, under the same key. */
  readonly repeated: boolean;
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !["http:", "https:"].includes(parsed.protocol)) {
    throw new Misuse("The URL of the server is not one such as https://rooms.example.com or http://localhost:8787.");
  }
  if (parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new Misuse("The address of a server is its origin, and a path if rooms are mounted under one: nothing else.");
  }
  return parsed.href.replace(/\/+$/, "");
}

function objectIn(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `Retry-After` in ms: seconds, or a date. */
function waitIn(headers: Headers): number | undefined {
  const text = headers.get("retry-after");
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function reasonOf(error: unknown): string {
  const { name, message, cause } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === "TimeoutError") return `no answer within ${TIMEOUT / 1_000} s`;
  const why = cause?.code ?? cause?.message;
  return visible(why ? `${message} (${why})` : message);
}
