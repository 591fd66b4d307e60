/**
 * An OTLP/HTTP receiver that takes nothing but what the official definition has. Each request is read through the message
 * types generated from opentelemetry-proto (in @opentelemetry/otlp-transformer): JSON to message, to bytes, back to JSON
 * must give the same again. A field that is unknown, an enum by name, a 64-bit integer as a number, an id that is not hex
 * of its length: each changes on the way, is refused with 400 and kept in `problems`.
 */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { LogRecord, KeyValue, Span } from "../../ops/otlp/payload.ts";
import { Changes } from "../support/patience.ts";

interface Message {
  verify(message: object): string | null;
  fromObject(object: object): object;
  toObject(message: object, options: object): object;
  encode(message: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
}

interface Body {
  readonly resourceSpans?: readonly { resource: Resource; scopeSpans: readonly { spans: readonly Span[] }[] }[];
  readonly resourceLogs?: readonly { resource: Resource; scopeLogs: readonly { logRecords: readonly LogRecord[] }[] }[];
}
interface Resource {
  readonly attributes: readonly KeyValue[];
}

/** One request that was taken. */
export interface Taken {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Body;
}

// Not one of the package's entries, and typed as it is not exported.
const { collector } = createRequire(import.meta.url)("@opentelemetry/otlp-transformer/build/src/generated/root.js")
  .opentelemetry.proto as {
  collector: {
    trace: { v1: { ExportTraceServiceRequest: Message } };
    logs: { v1: { ExportLogsServiceRequest: Message } };
  };
};
const MESSAGES = new Map<string, Message>([
  ["/v1/traces", collector.trace.v1.ExportTraceServiceRequest],
  ["/v1/logs", collector.logs.v1.ExportLogsServiceRequest],
]);

/** In protobuf's own JSON bytes are base64; OTLP/JSON has these three in hex. */
const ID_BYTES = new Map([
  ["traceId", 16],
  ["spanId", 8],
  ["parentSpanId", 8],
]);

function mapIds(value: unknown, convert: (id: unknown, bytes: number, key: string) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapIds(item, convert));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    // An empty list and none are the same message.
    Object.entries(value).flatMap(([key, inner]) => {
      if (Array.isArray(inner) && inner.length === 0) return [];
      const bytes = ID_BYTES.get(key);
      return [[key, bytes === undefined ? mapIds(inner, convert) : convert(inner, bytes, key)]];
    }),
  );
}

/** What is wrong with a request's body; `undefined`: nothing. */
export function problemOf(path: string, body: unknown): string | undefined {
  const message = MESSAGES.get(path);
  if (!message) return `no such path: ${path}`;
  try {
    const object = mapIds(body, (id, bytes, key) => {
      const valid = typeof id === "string" && id.length === bytes * 2 && /^[0-9a-f]*[1-9a-f][0-9a-f]*$/.test(id);
      if (!valid) throw new Error(`${key} is not ${bytes} bytes in hex: ${JSON.stringify(id)}`);
      return Buffer.from(id, "hex").toString("base64");
    }) as object;
    const read = message.decode(message.encode(message.fromObject(object)).finish());
    const invalid = message.verify(read);
    if (invalid !== null) return invalid;
    const again = message.toObject(read, { longs: String, bytes: String, json: true });
    if (!isDeepStrictEqual(again, object)) return `read as ${JSON.stringify(again)}, sent as ${JSON.stringify(object)}`;
  } catch (error) {
    return String(error);
  }
  return undefined;
}

/** See above. */
export class Receiver {
  readonly taken: Taken[] = [];
  readonly problems: string[] = [];
  /** When set, every request is refused with this status, or hung up on. */
  refuse: number | "hang up" | undefined;
  refused = 0;
  readonly #server = createServer((request, response) => void this.#take(request, response));
  readonly #changes = new Changes();

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get spans(): Span[] {
    return this.taken.flatMap(({ body }) =>
      (body.resourceSpans ?? []).flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    );
  }

  get records(): LogRecord[] {
    return this.taken.flatMap(({ body }) =>
      (body.resourceLogs ?? []).flatMap(({ scopeLogs }) => scopeLogs.flatMap(({ logRecords }) => logRecords)),
    );
  }

  async start(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  /** Waits until something that arrives makes it so. */
  async until(condition: () => boolean, what: string): Promise<void> {
    await this.#changes.until(condition, () => `${what}; ${this.spans.map(summary).join()}`);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      // The sender has ended in the middle, as at the end of a test: nothing has arrived.
      return;
    }
    const text = Buffer.concat(chunks).toString();
    const path = request.url ?? "";
    if (this.refuse !== undefined) {
      this.refused++;
      if (this.refuse === "hang up") request.socket.destroy();
      else response.writeHead(this.refuse).end();
    } else {
      const problem = this.#problem(request, path, text);
      if (problem === undefined)
        this.taken.push({ path, headers: request.headers, text, body: JSON.parse(text) as Body });
      else this.problems.push(problem);
      response.writeHead(problem === undefined ? 200 : 400, { "content-type": "application/json" }).end("{}");
    }
    this.#changes.notify();
  }

  #problem(request: IncomingMessage, path: string, text: string): string | undefined {
    if (request.method !== "POST") return `not a POST: ${request.method}`;
    if (request.headers["content-type"] !== "application/json") return `${request.headers["content-type"]}`;
    try {
      return problemOf(path, JSON.parse(text));
    } catch (error) {
      return String(error);
    }
  }
}

/** The attributes of a span or record as plain values; integers as their text. */
export function plain({ attributes }: Resource): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

function summary({ traceId, spanId, parentSpanId = "-", name }: Span): string {
  return `\n  ${traceId} ${parentSpanId} > ${spanId} ${name}`;
}
