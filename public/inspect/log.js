/** The end of a room's log as it grows: which part of it to ask for next, and what was read of it. */
import { make, write } from "./element.js";
import { roving } from "./roving.js";
import { count, momentOf, plain, timeOf } from "./format.js";

/** Publications on the page, and asked for at once. */
const KEPT = 500;
/** The first look back. */
const FIRST = 100;
/** Characters of a line, and of what it opens to. */
const LINE = 300;
const WHOLE = 50_000;
/** Pixels from the end that still count as its end. */
const NEAR = 24;

export class LogTail {
  #part;
  #box;
  #offset;
  #isPaused = false;
  #onResume;

  /**
   * @param part finds an element of the room
   * @param onResume told when there is something to ask again
   */
  constructor(part, onResume) {
    this.#part = part;
    this.#box = part(".log .scroll");
    this.#onResume = onResume;
    roving(part(".log ol"), "summary");
    part(".pause").addEventListener("click", () => this.#pause());
  }

  /** The query that brings what is not here yet; undefined while paused. */
  get query() {
    if (this.#isPaused) return undefined;
    return this.#offset === undefined ? `?limit=${FIRST}` : `?after=${this.#offset}&limit=${KEPT}`;
  }

  /** What the query brought. */
  show({ items, offset, oldest }) {
    if (this.#offset !== undefined && offset < this.#offset)
      return this.#again("the room was put back to an older state");
    const first = items[0]?.offset ?? offset + 1;
    const last = items.at(-1)?.offset ?? offset;
    // Far behind, as after an hour in the background: the newest count, not the way there.
    if (this.#offset !== undefined && offset - last > KEPT) return this.#again(`${count(offset - last)} passed unseen`);
    const missed = first - 1 - (this.#offset ?? first - 1);
    if (missed > 0) this.#append([note(`${count(missed)} not shown: the room keeps them from ${count(oldest)} on`)]);
    this.#offset = last;
    if (items.length > 0) this.#append(items.map(entry));
    this.#part(".log .empty").hidden = this.#list.childElementCount > 0;
    return undefined;
  }

  /** Where the room is, so that a pause can tell what it keeps back. */
  reached(offset) {
    const waiting = this.#isPaused ? Math.max(0, offset - (this.#offset ?? 0)) : 0;
    write(this.#part(".log .much"), this.#isPaused ? `Paused, ${count(waiting)} more` : "");
  }

  get #list() {
    return this.#part(".log ol");
  }

  #again(why) {
    this.#offset = undefined;
    this.#list.replaceChildren(note(why));
    this.#onResume();
  }

  #append(lines) {
    const box = this.#box;
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    const list = this.#list;
    list.append(...lines.slice(-KEPT));
    while (list.childElementCount > KEPT) list.firstElementChild.remove();
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }

  #pause() {
    this.#isPaused = !this.#isPaused;
    const button = this.#part(".pause");
    button.ariaPressed = String(this.#isPaused);
    write(button, this.#isPaused ? "Go on" : "Pause");
    write(this.#part(".log .much"), this.#isPaused ? "Paused" : "");
    if (!this.#isPaused) this.#onResume();
  }
}

function note(text) {
  return make("li", "gap soft", text);
}

function entry({ offset, at, by, to, data }) {
  const time = make("time", "soft", timeOf(at));
  time.title = momentOf(at);
  const who = make("span", by === null ? "by cut soft" : "by cut", by === null ? "the room" : plain(by));
  who.title = who.textContent + (to ? `, to ${plain(to.join(", "))}` : "");
  if (to) who.append(" →");
  const text = JSON.stringify(data) ?? "";
  const details = make("details", "", make("summary", "cut", plain(text.slice(0, LINE))));
  // Made when somebody wants it: 500 times a megabyte would be too much.
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(whole(data));
  });
  return make("li", "", make("span", "offset soft", String(offset)), time, who, details);
}

function whole(data) {
  const text = JSON.stringify(data, undefined, 2) ?? "";
  const rest = text.length - WHOLE;
  const more = rest > 0 ? `\n… ${count(rest)} characters more` : "";
  return make("pre", "", plain(text.slice(0, WHOLE), true) + more);
}
