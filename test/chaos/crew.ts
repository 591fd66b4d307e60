/** Those who take part: names, users, rooms, manners. All of it follows from the seed. */
import { randomFrom } from "../support/random.ts";
import type { Plan } from "./orders.ts";
import { seats } from "./rooms.ts";

/** A client that has no way through the network yet. */
export type Draft = Omit<Plan, "port">;

/** The clients: every third speaks for itself, some users have two. Each has a way of its own through the network. */
export function draft(seed: number, count: number): Draft[] {
  const random = randomFrom(seed + 1);
  const drafts = Array.from({ length: count }, (_, i) => {
    // Clients of one user are `seats.length` apart, and so in one room.
    const twin = i >= seats.length && random() < 0.15 ? i - seats.length : i;
    return { i, user: `u${twin}`, room: seats[i % seats.length] as string };
  });
  return drafts.map(({ i, user, room }) => ({
    name: `c${i}`,
    sort: i % 3 === Math.floor(i / 3) % 3 ? "raw" : "sdk",
    user,
    room,
    credit: random() < 0.5,
    ttl: random() < 0.5 ? 10 + Math.floor(random() * 20) : 600,
    sloppy: random() < 0.15,
    seed: seed + 100 * (i + 1),
    others: [
      ...new Set(drafts.filter((other) => other.room === room && other.user !== user).map((other) => other.user)),
    ],
    pace: 4,
  }));
}
