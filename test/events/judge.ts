/** Pure: what a receiver got against what the rooms have written down, in numbers. */
import type { OutEvent } from "../../src/room/outlet.ts";
import type { Publication } from "../../src/protocol/frames.ts";
import type { Taken } from "./receiver.ts";
import type { Moved } from "./worker.ts";

/** How a room's events came out. */
export interface Verdict {
  /** What happened, by the room's own log and notes. */
  readonly happened: number;
  /** Happened and did not come. */
  readonly lost: number;
  /** Came, and did not happen. */
  readonly invented: number;
  /** Came, and not in its place. */
  readonly reordered: number;
  /** Came again. */
  readonly duplicates: number;
}

/** What happened in a room, in its order. */
export function sequence(log: readonly Publication[], moves: readonly Moved[]): string[] {
  const happened: string[] = [];
  const here = new Set<string>();
  let next = 0;
  for (const { after, what, user } of moves) {
    while ((log[next]?.offset ?? Infinity) <= after) happened.push(said(log[next++]));
    happened.push(`${what} ${user}`);
    if (what === "join") here.add(user);
    else here.delete(user);
    if (here.size === 0) happened.push("empty");
  }
  return [...happened, ...log.slice(next).map(said)];
}

/** What a receiver makes of what it took that remembers ids: each event where it came first. */
export function compare(happened: readonly string[], taken: readonly Taken[]): Verdict {
  const events = taken.flatMap((batch) => batch.events);
  const seen = new Set<string>();
  const got = events.filter(({ id }) => !seen.has(id) && seen.add(id)).map(told);
  const left = countOf(happened);
  let invented = 0;
  for (const one of got) {
    const n = left.get(one) ?? 0;
    if (n === 0) invented++;
    else left.set(one, n - 1);
  }
  const lost = [...left.values()].reduce((a, b) => a + b, 0);
  const isSame = lost + invented === 0;
  const reordered = isSame ? got.filter((one, i) => one !== happened[i]).length : 0;
  return { happened: happened.length, lost, invented, reordered, duplicates: events.length - got.length };
}

function told({ type, member, user, publication }: OutEvent): string {
  if (publication) return said(publication);
  return type === "empty" ? type : `${type} ${member?.id ?? user}`;
}

function said(publication: Publication | undefined): string {
  return JSON.stringify(publication, ["offset", "by", "at", "data"]);
}

function countOf(list: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return counts;
}
