/** What tests of events that go out do again and again: a room whose time they rule, what it says, and its operator. */
import { exports } from "cloudflare:workers";
import { expect } from "vitest";
import type { OutEvent } from "../../src/room/outlet.ts";
import type { DeadLetter } from "../../src/room/store/outbox.ts";
import { Client, sign } from "./client.ts";
import { TestedRoom } from "./room.ts";

/** A room whose clock stands still, in a week: no alarm rings by itself, whatever it is set to. */
export function stopped(): TestedRoom {
  const room = new TestedRoom("events");
  room.stopClock(Date.now() + 7 * 86_400_000);
  return room;
}

/** Somebody whose token outlives what tests do to the clock. */
export async function join(room: TestedRoom, user: string): Promise<Client> {
  return (await Client.join(room.path, { user, ttl: "90d" })).client;
}

/** Publishes in the room's own name, all in one go. */
export async function say(room: TestedRoom, ...data: string[]): Promise<void> {
  await Promise.all(data.map((one) => room.stub.publish(one)));
}

/** What an operator gets over HTTP; and does, when there is a body. */
export async function ask(room: TestedRoom, what: string, body?: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${await sign("op", { rooms: { "*": ["admin", "publish"] } })}` };
  const init = body ? { method: "POST", body: JSON.stringify(body), headers } : { headers };
  const response = await exports.default.fetch(`http://edge.test/rooms/${room.path}/${what}`, init);
  expect(response.ok, `${what}: ${response.status}`).toBe(true);
  return response.json();
}

/** The outbox as an operator sees it. */
export async function stats(room: TestedRoom) {
  const { outbox } = await ask(room, "stats");
  return outbox as { pending: number; dead: number; tries: number; nextTry?: number };
}

/** Dead letters as an operator sees them. */
export async function dead(room: TestedRoom): Promise<DeadLetter[]> {
  return (await ask(room, "dead-letters"))["dead"] as DeadLetter[];
}

/** An event in a word. */
export function word({ type, member, user, publication }: OutEvent): string {
  if (publication) return typeof publication.data === "string" ? publication.data : JSON.stringify(publication.data);
  return type === "empty" ? "empty" : `${type} ${member?.id ?? user}`;
}

/** Every event that the room's receiver took, in words. */
export function words(room: TestedRoom): string[] {
  return room.receiver.events.map(word);
}
