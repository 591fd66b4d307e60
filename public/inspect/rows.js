/** Rows of a table that stay the same elements while their items change, so that focus and open questions survive. */
import { make, write } from "./element.js";

export class Rows {
  #body;
  #create;
  #rows = new Map();

  /**
   * @param body the `tbody`
   * @param create makes a row for an item: `{row, update(item)}`
   */
  constructor(body, create) {
    this.#body = body;
    this.#create = create;
  }

  /** Shows these items in this order; `keyOf` tells which are the same as before. */
  show(items, keyOf) {
    const focused = document.activeElement;
    const wasInside = this.#body.contains(focused);
    const keys = new Set(items.map(keyOf));
    for (const [key, { row }] of this.#rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.#rows.delete(key);
    }
    let place = this.#body.firstElementChild;
    for (const item of items) {
      const key = keyOf(item);
      if (!this.#rows.has(key)) this.#rows.set(key, this.#create(item));
      const { row, update } = this.#rows.get(key);
      update(item);
      if (row === place) place = place.nextElementSibling;
      else this.#body.insertBefore(row, place);
    }
    // A row that moved lost the focus, one that went took it along.
    if (!wasInside || document.activeElement === focused) return;
    (focused.isConnected ? focused : this.#body.closest("[tabindex]"))?.focus();
  }
}

/** A cell that knows its column's name, for screens too narrow for columns. */
export function cell(label, className = "", ...content) {
  const made = make("td", className, ...content);
  made.dataset.label = label;
  return made;
}

/** Text that may be cut off on the screen, whole in its title. */
export function writeWhole(element, text, title = text) {
  write(element, text);
  if (element.title !== title) element.title = title;
}
