/** Marks what is on the page as old once it is, and says from when it is and what is missing. Knows nothing of what it marks. */
import { write } from "./element.js";
import { ago, count, timeOf } from "./format.js";

/** Answers that may be missing before what is shown counts as old. */
const MISSED = 3;

export class Freshness {
  #root;
  #age;
  #poll;
  #limit;
  #missing = 0;

  /**
   * @param root of what gets old
   * @param age says since when, where one looks
   * @param poll that asks for it
   * @param every ms between two answers
   */
  constructor(root, age, poll, every) {
    this.#root = root;
    this.#age = age;
    this.#poll = poll;
    this.#limit = (MISSED + 1) * every;
    poll.onSettled = () => this.tick();
  }

  /**
   * The newest answer is without some parts of the directory.
   *
   * @param parts their numbers; undefined for none
   */
  lacks(parts = []) {
    this.#missing = parts.length;
    this.tick();
  }

  get isStale() {
    const { answeredAt, isFailing } = this.#poll;
    return answeredAt !== undefined && (isFailing || Date.now() - answeredAt > this.#limit);
  }

  /** Every second; by itself whenever a question was answered or came to nothing. */
  tick() {
    const { isStale } = this;
    this.#root.classList.toggle("stale", isStale);
    const { answeredAt } = this.#poll;
    const old = isStale ? `Old: from ${timeOf(answeredAt)}, ${ago(answeredAt)}` : "";
    const said = [old, missingText(this.#missing)].filter(Boolean).join(". ");
    this.#age.hidden = said === "";
    write(this.#age, said);
  }
}

/** Says of an answer that it is not complete; "" for one that is. */
export function missingText(parts) {
  if (parts === 0) return "";
  return `Incomplete: ${count(parts)} ${parts === 1 ? "part" : "parts"} of the directory did not answer`;
}
