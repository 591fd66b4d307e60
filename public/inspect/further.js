/** Goes through a list that the server gives by pages, one page at a time. Knows nothing of what is in it. */
import { make } from "./element.js";

export class Further {
  #box;
  #first;
  #next;
  #after;
  #following;

  /**
   * @param box an empty element for the buttons
   * @param noun of what is listed, for the buttons' names
   * @param onTurn told when somebody wants another page
   */
  constructor(box, noun, onTurn) {
    this.#box = box;
    const turn = (label, to) => {
      const button = make("button", "quiet tiny", label);
      button.type = "button";
      button.addEventListener("click", () => {
        this.#after = to();
        onTurn();
      });
      return button;
    };
    this.#first = turn(`First ${noun}`, () => undefined);
    this.#next = turn(`More ${noun}`, () => this.#following);
    box.append(this.#first, this.#next);
  }

  /** What follows the path of the list. */
  get query() {
    return this.#after === undefined ? "" : `?after=${encodeURIComponent(this.#after)}`;
  }

  /** Whether there is more than this page. */
  get isPart() {
    return this.#after !== undefined || this.#following !== undefined;
  }

  /** A page has come; `next` is where the following one begins. */
  show(next) {
    this.#following = next;
    this.#box.hidden = !this.isPart;
    this.#first.disabled = this.#after === undefined;
    this.#next.disabled = next === undefined;
  }
}
