/** The one place where the page says what does not work, with the id that finds it in the log. */
import { make } from "../demo/element.js";
import { plain } from "./format.js";

export class Trouble {
  #list;
  #entries = new Map();

  /** @param list an empty list that is read aloud when something comes into it */
  constructor(list) {
    this.#list = list;
  }

  /** Something failed; `more` is what comes next. The same again is not told twice. */
  report(name, { message, status = 0, code = "", requestId = "" }, more = "") {
    const facts = [status > 0 && `HTTP ${status}`, code && plain(code)].filter(Boolean).join(" ");
    const text = `${name}: ${plain(message)}${facts ? ` (${facts})` : ""}${more}`;
    const known = this.#entries.get(name);
    if (known?.text === text) {
      known.request.textContent = requestOf(requestId);
      return;
    }
    this.clear(name);
    const request = make("code", "", requestOf(requestId));
    const dismiss = make("button", "quiet tiny", "Dismiss");
    dismiss.type = "button";
    dismiss.addEventListener("click", () => this.clear(name));
    const item = make("li", "", make("p", "", text, " ", request), dismiss);
    this.#entries.set(name, { text, request, item });
    this.#list.append(item);
  }

  /** It works again, or nobody asks any more. */
  clear(name) {
    this.#entries.get(name)?.item.remove();
    this.#entries.delete(name);
  }

  clearAll() {
    for (const name of this.#entries.keys()) this.clear(name);
  }
}

function requestOf(id) {
  return id ? `request ${plain(id)}` : "";
}
