/**
 * Says what does not work, since when, when it is tried again, and the id that finds it in the log. Stays in view however
 * far the page is scrolled. What fails for the same reason is said once.
 */
import { make, write } from "./element.js";
import { plain, timeOf, until } from "./format.js";

export class Trouble {
  #list;
  #entries = new Map();
  #problems = new Map();

  /** @param list an empty element that is read aloud when something comes into it */
  constructor(list) {
    this.#list = list;
  }

  /**
   * Something failed. The same again is not told twice.
   *
   * @param name of what failed
   * @param next `{retryAt, retry}` where it is tried again by itself; absent where only a person can
   */
  report(name, { message, status = 0, code = "", requestId = "" }, next) {
    const facts = [status > 0 && `HTTP ${status}`, code && plain(code)].filter(Boolean).join(" ");
    const text = `${plain(message)}${facts ? ` (${facts})` : ""}`;
    const known = this.#entries.get(name);
    const since = known?.text === text ? known.since : Date.now();
    this.#entries.set(name, { text, since, requestId, next });
    this.#show();
  }

  /** It works again, or nobody asks any more. */
  clear(name) {
    if (this.#entries.delete(name)) this.#show();
  }

  clearAll() {
    this.#entries.clear();
    this.#show();
  }

  /** What changes with the clock alone. */
  tick() {
    for (const { countdown, entries } of this.#problems.values()) {
      const times = entries.flatMap(({ next }) => (next ? [next.retryAt] : []));
      const at = Math.min(...times);
      write(countdown, times.length === 0 ? "" : at > Date.now() + 500 ? `Next try ${until(at)}.` : "Trying …");
    }
  }

  #show() {
    const groups = Map.groupBy(this.#entries, ([, { text }]) => text);
    for (const [text, { row }] of this.#problems) {
      if (groups.has(text)) continue;
      row.remove();
      this.#problems.delete(text);
    }
    for (const [text, group] of groups) {
      const problem = this.#problems.get(text) ?? this.#add(text);
      problem.entries = group.map(([, entry]) => entry);
      const since = Math.min(...problem.entries.map((entry) => entry.since));
      write(problem.text, `${group.map(([name]) => plain(name)).join(", ")}: ${text} Since ${timeOf(since)}.`);
      write(problem.request, requestOf(problem.entries.at(-1).requestId));
      write(problem.button, problem.entries.some(({ next }) => next) ? "Try now" : "Dismiss");
    }
    this.tick();
  }

  #add(text) {
    const said = make("span", "");
    const request = make("code", "");
    const countdown = make("span", "countdown");
    // Read once, not every second.
    countdown.ariaHidden = "true";
    const button = make("button", "quiet tiny");
    button.type = "button";
    const row = make("div", "problem", make("p", "", said, " ", request), countdown, button);
    const problem = { row, text: said, request, countdown, button, entries: [] };
    button.addEventListener("click", () => {
      const retries = problem.entries.flatMap(({ next }) => (next ? [next.retry] : []));
      for (const retry of retries) retry();
      if (retries.length > 0) return;
      for (const [name, entry] of this.#entries) if (entry.text === text) this.#entries.delete(name);
      this.#show();
    });
    this.#problems.set(text, problem);
    this.#list.append(row);
    return problem;
  }
}

function requestOf(id) {
  return id ? `request ${plain(id)}` : "";
}
