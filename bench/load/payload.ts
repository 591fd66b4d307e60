/**
 * What is published: 100 bytes with the publisher's number and a count, so that a receiver knows its own and can prove
 * that none is missing. The same for every rival. Without quotes and newlines.
 */

/** Bytes of every payload. */
export const PAYLOAD_BYTES = 100;

const FILL = "the quick brown fox jumps over the lazy dog, and over the next one, and over the one after that too.";

/** The `n`th payload of publisher `who` (0 to 999). */
export function payload(who: number, n: number): string {
  const head = `p${String(who).padStart(3, "0")} ${String(n).padStart(9, "0")} `;
  return head + FILL.slice(0, PAYLOAD_BYTES - head.length);
}

/** The publisher whose payload begins at `at`; -1 when none does. */
export function whose(view: Buffer, at: number): number {
  if (view[at] !== 112) return -1;
  return ((view[at + 1] ?? 0) - 48) * 100 + ((view[at + 2] ?? 0) - 48) * 10 + (view[at + 3] ?? 0) - 48;
}

/** Proves order and completeness of the payloads that one socket gets. */
export class Sequence {
  readonly #next = new Map<string, number>();
  seen = 0;

  add(text: string): void {
    const who = text.slice(0, 4);
    const n = Number(text.slice(5, 14));
    const expected = this.#next.get(who) ?? n;
    if (text.length !== PAYLOAD_BYTES || n !== expected) throw new Error(`${who} sent ${n} after ${expected - 1}`);
    this.#next.set(who, n + 1);
    this.seen++;
  }
}
