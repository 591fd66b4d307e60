/** The conversation: what is in the log, what still waits, and the line to write in. */
import { make, write } from "../inspect/element.js";
import { colour } from "./person.js";

/** A member that says more within this many ms is not named again. */
const SAME_BREATH = 120_000;
/** How long after the last key somebody counts as typing, in ms. */
const TYPING = 2_500;
/** People who type are named, up to this many. */
const NAMED = 3;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

export class Chat {
  #part;
  #nameOf;
  #history;
  #previous;
  #on;
  #timer;

  /**
   * @param part finds an element of the pane
   * @param history what to show
   * @param nameOf a person's name by id
   * @param on told of `say(text)`, `typing(yes)`, `again(entry)` and `discard(entry)`
   */
  constructor(part, history, nameOf, on) {
    this.#part = part;
    this.#history = history;
    this.#nameOf = nameOf;
    this.#on = on;
    const form = part(".say");
    const input = form.elements.text;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#typing(false);
      const text = input.value.trim();
      input.value = "";
      if (text) on.say(text);
    });
    input.addEventListener("input", () => this.#typing(input.value !== ""));
    input.addEventListener("blur", () => this.#typing(false));
  }

  /** Everything anew. */
  restart() {
    this.#previous = undefined;
    this.#part(".said").replaceChildren();
    for (const item of this.#history.items) this.#append(item);
    this.waiting();
  }

  add(item) {
    this.#append(item);
    const said = this.#part(".said");
    while (said.childElementCount > this.#history.items.length) said.firstElementChild.remove();
    this.waiting();
  }

  /** What is not in the log yet. */
  waiting() {
    const { items, outbox } = this.#history;
    this.#part(".empty").hidden = items.length + outbox.length > 0;
    this.#part(".outbox").replaceChildren(...outbox.map((entry) => this.#entry(entry)));
  }

  #append(item) {
    const { offset, by, at, data } = item;
    const text = typeof data === "string" ? data : typeof data?.text === "string" ? data.text : JSON.stringify(data);
    const time = make("time", "", clock.format(at));
    time.dateTime = new Date(at).toISOString();
    const name = by === null ? "The room" : this.#nameOf(by);
    const words = make("div", "words", make("span", "by", name), time, make("p", "", text));
    const row = make("li", "", make("span", "offset", String(offset)), words);
    if (item.recovered) row.append(make("span", "tag", "recovered"));
    row.classList.toggle("recovered", Boolean(item.recovered));
    const before = this.#previous;
    row.classList.toggle("more", Boolean(before && before.by === by && at - before.at < SAME_BREATH));
    this.#previous = item;
    this.#part(".said").append(colour(row, by ?? "room"));
  }

  #entry(entry) {
    const { text, failed } = entry;
    const words = make("div", "words", make("p", "", text));
    const row = make("li", failed ? "failed" : "pending", make("span", "offset", failed ? "!" : "…"), words);
    if (!failed) row.append(make("span", "tag", "pending"));
    else {
      const [again, discard] = [make("button", "quiet", "Send again"), make("button", "quiet", "Discard")];
      again.type = discard.type = "button";
      again.addEventListener("click", () => this.#on.again(entry));
      discard.addEventListener("click", () => this.#on.discard(entry));
      words.append(make("p", "why", `Failed: ${failed}`), make("div", "fate", again, discard));
    }
    return row;
  }

  #typing(isTyping) {
    clearTimeout(this.#timer);
    if (isTyping) this.#timer = setTimeout(() => this.#typing(false), TYPING);
    this.#on.typing(isTyping);
  }

  /** "Bob is typing", below the log. */
  typists(names) {
    const last = names.at(-1);
    const others = names.slice(0, -1);
    const who =
      names.length > NAMED
        ? `${names.length} people are`
        : others.length > 0
          ? `${others.join(", ")} and ${last} are`
          : `${last} is`;
    write(this.#part(".typing"), last === undefined ? "" : `${who} typing …`);
  }
}
