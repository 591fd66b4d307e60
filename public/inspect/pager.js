/** A long list by pages, which says how long it is. Knows nothing of what is in it. */
import { make, write } from "./element.js";
import { count } from "./format.js";

export class Pager {
  #size;
  #page = 0;
  #where;
  #earlier;
  #later;
  #box;

  /**
   * @param box an empty element for the buttons
   * @param noun of what is listed, for the buttons' names
   * @param size of a page
   * @param onTurn told when somebody wants another page
   */
  constructor(box, { noun, size }, onTurn) {
    this.#box = box;
    this.#size = size;
    this.#where = make("span", "soft");
    const turn = (label, name, by) => {
      const button = make("button", "quiet tiny", label);
      button.type = "button";
      button.setAttribute("aria-label", `${name} ${noun}`);
      button.addEventListener("click", () => {
        this.#page += by;
        onTurn();
      });
      return button;
    };
    this.#earlier = turn("←", "Earlier", -1);
    this.#later = turn("→", "Later", 1);
    box.append(this.#earlier, this.#where, this.#later);
  }

  /** Back to the first page: another list begins. */
  restart() {
    this.#page = 0;
  }

  /** Of these, those on the page. */
  cut(items) {
    const pages = Math.max(1, Math.ceil(items.length / this.#size));
    this.#page = Math.min(this.#page, pages - 1);
    const first = this.#page * this.#size;
    const shown = items.slice(first, first + this.#size);
    this.#box.hidden = pages === 1;
    write(this.#where, `${count(first + 1)} to ${count(first + shown.length)} of ${count(items.length)}`);
    this.#earlier.disabled = this.#page === 0;
    this.#later.disabled = this.#page === pages - 1;
    return shown;
  }
}
