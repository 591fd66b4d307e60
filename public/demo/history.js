/**
 * What was said and what still waits, as far as this page knows: in order, bounded, and kept in sessionStorage beside
 * the client's own position, so that a reload shows it at once and resumes behind it. Knows nothing of the page.
 */

/** Publications kept, at most. */
const KEPT = 200;
/** Characters in sessionStorage, at most; browsers allow about five million for everything. */
const LONGEST = 500_000;

export class History {
  /** Publications by offset, ascending; `recovered` marks what was missed and came later. */
  items = [];
  /** What was said here and is not in the log yet: `{id, text, run, n, failed?}`. */
  outbox = [];
  #epoch;
  #key;
  #isSaving = false;

  constructor(key) {
    this.#key = key;
    try {
      const { epoch, items, outbox } = JSON.parse(sessionStorage.getItem(key) ?? "{}");
      this.#epoch = epoch;
      if (Array.isArray(items)) this.items = items;
      if (Array.isArray(outbox)) this.outbox = outbox;
    } catch {
      // Nothing usable: the room's snapshot will do.
    }
    for (const entry of this.outbox) entry.failed ??= "the page was reloaded before the answer";
  }

  /** One more; `false` when it is there already. */
  add(item) {
    if (item.offset <= (this.items.at(-1)?.offset ?? 0)) return false;
    this.items.push(item);
    this.items.splice(0, this.items.length - KEPT);
    this.drop(item.data?.id);
    return true;
  }

  /** The room's own account: joins what is known when it is of the same log, else replaces it. Returns what is new. */
  restart(epoch, items) {
    if (epoch !== this.#epoch) this.items = [];
    this.#epoch = epoch;
    const added = items.filter((item) => this.add(item));
    this.save();
    return added;
  }

  /** Something said here that is not in the log yet. `stamp` are the fields that number it. */
  say(id, text, stamp) {
    const entry = { id, text, ...stamp };
    this.outbox.push(entry);
    this.save();
    return entry;
  }

  drop(id) {
    if (id !== undefined) this.outbox = this.outbox.filter((entry) => entry.id !== id);
    this.save();
  }

  /** Once at the end of the turn: a page is never reloaded in between. */
  save() {
    if (this.#isSaving) return;
    this.#isSaving = true;
    queueMicrotask(() => {
      this.#isSaving = false;
      let { items } = this;
      let text = this.#encode(items);
      while (text.length > LONGEST && items.length > 0) {
        items = items.slice(Math.ceil(items.length / 2));
        text = this.#encode(items);
      }
      try {
        sessionStorage.setItem(this.#key, text);
      } catch {
        // Full or forbidden: a reload begins with the room's snapshot or with what is new.
      }
    });
  }

  #encode(items) {
    return JSON.stringify({ epoch: this.#epoch, items, outbox: this.outbox });
  }
}
