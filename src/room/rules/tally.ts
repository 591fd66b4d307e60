/**
 * What a set of sessions comes to, as a short text: how many, and a sum over them. Two ends that count the same sessions have
 * the same text, whatever was lost between them. No defence against anybody: both ends are ours.
 */

/** A set that is counted and not kept. */
export class Tally {
  #size = 0;
  #sum = 0;

  get size(): number {
    return this.#size;
  }

  get digest(): string {
    return `${this.#size}.${(this.#sum >>> 0).toString(36)}`;
  }

  /** One that goes on by itself. */
  copy(): Tally {
    const copy = new Tally();
    copy.#size = this.#size;
    copy.#sum = this.#sum;
    return copy;
  }

  /** @param by 1 puts a session in, -1 takes it out */
  toggle(session: string, isPresent: boolean, by: 1 | -1): void {
    this.#size += by;
    this.#sum ^= hashOf(isPresent ? session : `${session} gone`);
  }
}

/** FNV-1a, 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
