/** Somebody who counts aloud, so that there is something to lose while a line is cut. */

/** Ms between two numbers. */
const EVERY = 500;
/** Numbers, at most: each is a row in the room's storage. */
const MOST = 100;

export class Chatter {
  #box;
  #say;
  #timer;
  #left = 0;

  /**
   * @param box the switch
   * @param say says a text
   */
  constructor(box, say) {
    this.#box = box;
    this.#say = say;
    box.addEventListener("change", () => (box.checked ? this.#start() : this.stop()));
  }

  stop() {
    clearInterval(this.#timer);
    this.#box.checked = false;
  }

  #start() {
    this.#left = MOST;
    this.#timer = setInterval(() => {
      this.#say(String(MOST + 1 - this.#left));
      if (--this.#left === 0) this.stop();
    }, EVERY);
  }
}
