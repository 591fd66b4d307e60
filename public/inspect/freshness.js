/** Marks what is on the page as old once it is, and says from when it is. Knows nothing of what it marks. */
import { write } from "./element.js";
import { ago, timeOf } from "./format.js";

/** Answers that may be missing before what is shown counts as old. */
const MISSED = 3;

export class Freshness {
  #root;
  #age;
  #poll;
  #limit;

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

  get isStale() {
    const { answeredAt, isFailing } = this.#poll;
    return answeredAt !== undefined && (isFailing || Date.now() - answeredAt > this.#limit);
  }

  /** Every second; by itself whenever a question was answered or came to nothing. */
  tick() {
    const { isStale } = this;
    this.#root.classList.toggle("stale", isStale);
    this.#age.hidden = !isStale;
    const { answeredAt } = this.#poll;
    write(this.#age, isStale ? `Old: from ${timeOf(answeredAt)}, ${ago(answeredAt)}` : "");
  }
}
