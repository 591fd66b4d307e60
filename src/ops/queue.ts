/** A Cloudflare Queue as the outlet of a room's events: how batches are cut to what a queue takes, in their order. */
import type { Batch, OutEvent, Outlet } from "../room/outlet.ts";
import { eventsMessage } from "./webhook.ts";

/** Bytes of a message (Queues limits: 128,000 bytes, of which about 100 are the platform's own). */
const MAX_MESSAGE = 127_900;
/** Messages of one `sendBatch` (Queues limits). */
const MAX_MESSAGES = 100;
/** Bytes of one `sendBatch` (Queues limits: 256,000), less the platform's own of a hundred messages. */
const MAX_BATCH = 240_000;

interface Message {
  readonly body: unknown;
  readonly bytes: number;
}

/**
 * Sends batches to the queue bound as `binding`: a message is what the webhook posts, with an `id`. A batch is one
 * message when it fits, with the batch's id; else one message per event, with the event's id. An event that is too large
 * on its own goes without the data of its publication, marked `"omitted": true`: its offset says where to read it.
 * A consumer may get a message again: it has the same id.
 */
export function queue<Env extends object = Record<string, unknown>>(binding: keyof Env & string): Outlet<Env> {
  return async (batch, env) => {
    const target = env[binding] as Queue | undefined;
    if (typeof target?.sendBatch !== "function") throw new TypeError(`${binding} is not a binding of a queue`);
    for (const part of inParts(messagesOf(batch))) {
      // One after the other: a queue keeps the order in which it got messages.
      await target.sendBatch(part.map(({ body }) => ({ body, contentType: "json" })));
    }
  };
}

function messagesOf(batch: Batch): Message[] {
  const whole = messageOf(batch.id, batch, batch.events);
  if (whole.bytes <= MAX_MESSAGE) return [whole];
  return batch.events.map((event) => {
    const alone = messageOf(event.id, batch, [event]);
    return alone.bytes <= MAX_MESSAGE ? alone : messageOf(event.id, batch, [withoutData(event)]);
  });
}

function messageOf(id: string, batch: Batch, events: readonly unknown[]): Message {
  const body = { id, ...eventsMessage({ ...batch, events }) };
  return { body, bytes: new TextEncoder().encode(JSON.stringify(body)).length };
}

function withoutData({ publication, ...event }: OutEvent) {
  const { data: _, ...rest } = publication ?? { data: null };
  return { ...event, publication: rest, omitted: true };
}

function* inParts(messages: readonly Message[]): Generator<Message[]> {
  let part: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (part.length === MAX_MESSAGES || bytes + message.bytes > MAX_BATCH) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(message);
    bytes += message.bytes;
  }
  yield part;
}
