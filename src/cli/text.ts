/**
 * How values become text that is safe on a terminal: nothing from a server moves the cursor, changes a colour, hides other
 * text or reverses it. Knows nothing of tables or commands.
 */

// Controls, invisible formatting (direction marks, tags), lone surrogates, line and paragraph separators.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** They join letters in some scripts and emoji everywhere, and do nothing else. */
const JOINERS = /[\u200c\u200d]/u;

/** Text as it is, but for characters that would act instead of being seen: those are written as in JSON, `\u001b`. */
export function visible(text: string): string {
  return text.replaceAll(UNSAFE, (char) => (JOINERS.test(char) ? char : escaped(char)));
}

/**
 * JSON that says the same as JSON.stringify's and is safe to print: what that leaves raw (DEL, C1 controls, direction
 * marks) is escaped, which only strings can contain.
 *
 * @param indent spaces; 0 for one line
 */
export function json(value: unknown, indent = 0): string {
  return (JSON.stringify(value, undefined, indent) ?? "null").replaceAll(UNSAFE, (char) =>
    char === "\n" ? char : escaped(char),
  );
}

function escaped(char: string): string {
  return Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`).join(
    "",
  );
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** A moment as seen from now: "12 s ago", "in 3 min", "now". Both in ms since the epoch. */
export function ago(at: number, now: number): string {
  const distance = Math.abs(now - at);
  const unit = UNITS.find(([, ms]) => distance >= ms);
  if (!unit) return "now";
  const span = `${Math.floor(distance / unit[1])} ${unit[0]}`;
  return at > now ? `in ${span}` : `${span} ago`;
}

/** A moment in local time, with the date unless it is today. */
export function clock(at: number, now: number): string {
  const moment = new Date(at);
  // A server may send a number that is no moment.
  if (Number.isNaN(moment.getTime())) return "?";
  const two = (n: number) => String(n).padStart(2, "0");
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
  if (moment.toDateString() === new Date(now).toDateString()) return time;
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${time}`;
}

/** A number and what it counts: "1 room", "2 rooms", "2 tries". */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`;
}
