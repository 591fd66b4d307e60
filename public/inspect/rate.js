/** Publications per second, from offsets as they were seen. Knows nothing of how that is drawn. */

/** What is remembered, in ms. */
export const WINDOW = 120_000;
/** Longer between two looks, and what was between them is an average and no course. */
const GAP = 10_000;

export class Rate {
  /** When the first look was, in ms since the epoch: before it nothing is known. */
  since;
  #seen = [];

  /** The room was at this offset at this moment. */
  add(at, offset) {
    this.since ??= at;
    const last = this.#seen.at(-1);
    if (last && offset < last.offset) this.#seen = []; // put back to an older state
    if (last && at <= last.at) return;
    this.#seen.push({ at, offset });
    // One from before the window: the first interval in it begins there.
    while (this.#seen[1]?.at < at - WINDOW) this.#seen.shift();
  }

  /** The newest rate; undefined before there were two looks. */
  get current() {
    return this.lines.at(-1)?.at(-1).rate;
  }

  get peak() {
    return this.lines.flat().reduce((most, { rate }) => Math.max(most, rate), 0);
  }

  /** Lines to draw, oldest first, each of points `{at, rate}`; a gap ends one and is a level line itself. */
  get lines() {
    const lines = [];
    let line;
    this.#seen.forEach((to, index) => {
      const from = this.#seen[index - 1];
      if (!from) return;
      const rate = ((to.offset - from.offset) * 1_000) / (to.at - from.at);
      if (!line || to.at - from.at > GAP) lines.push((line = [{ at: from.at, rate }]));
      line.push({ at: to.at, rate });
    });
    return lines;
  }
}
