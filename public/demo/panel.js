/** The connection, looked at: a word for its state, numbers, and what happened lately. */
import { make, write } from "../inspect/element.js";

/** Lines of what happened. */
const EVENTS = 8;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export class Panel {
  #part;
  #latency;
  #join = "–";

  /** @param part finds an element of the pane */
  constructor(part) {
    this.#part = part;
  }

  /** Something happened. */
  note(text, kind = "") {
    const events = this.#part(".events");
    events.prepend(make("li", kind, make("time", "", clock.format(Date.now())), text));
    while (events.childElementCount > EVENTS) events.lastElementChild.remove();
  }

  joined(text) {
    this.#join = text;
  }

  latency(ms) {
    this.#latency = ms;
  }

  /**
   * @param room the client
   * @param view `{retryAt, isOffline, needsToken, tokens, step}`: what the client does not tell
   */
  show({ state, position, pending }, { retryAt, isOffline, needsToken, tokens, step }) {
    const left = Math.max(0, retryAt - Date.now());
    const isWaiting = state.name === "reconnecting" || state.name === "suspended";
    const isOpen = state.name === "open";
    write(this.#part(".phase"), needsToken && !isOpen ? "Needs a token" : phase(state, isOffline, step));
    write(this.#part(".countdown"), isWaiting && !isOffline ? ` in ${seconds(left)}`.replaceAll(" ", "\u00A0") : "");
    write(this.#part(".f-state"), state.name);
    write(this.#part(".f-session"), position ? position.session.slice(0, 8) : "–");
    this.#part(".f-session").title = position?.session ?? "";
    write(this.#part(".f-offset"), String(position?.offset ?? "–"));
    write(this.#part(".f-join"), this.#join);
    write(this.#part(".f-retries"), nextTry(state, left));
    write(this.#part(".f-latency"), isOpen && this.#latency !== undefined ? `${Math.round(this.#latency)} ms` : "–");
    write(this.#part(".f-pending"), String(pending));
    write(this.#part(".f-token"), validity(tokens));
  }
}

/** A reason as a person says it. */
export function spoken(reason) {
  return reason.replaceAll("_", " ").replace(/^no token: (?:\w*Error: )?/, "no token: ");
}

function phase({ name, failures = 0 }, isOffline, step) {
  if (isOffline) return "Offline";
  if (name === "connecting") return failures > 0 ? "Trying again" : step;
  const words = { idle: "Starting", open: "Connected", reconnecting: "Next try" };
  return { ...words, suspended: "Pausing, next try", closed: "Closed" }[name];
}

/** When the client tries again, and why it has to. */
function nextTry(state, left) {
  const { name, failures = 0 } = state;
  const failed = failures > 0 ? `, ${failures} failed` : "";
  if (name === "reconnecting") return `in ${seconds(left)}${failed}`;
  if (name === "suspended") return `in ${seconds(left)}, too many failed`;
  if (name === "connecting") return `now${failed}`;
  return name === "closed" ? "none" : "not needed";
}

function validity({ expires, refreshed }) {
  const left = expires - Date.now();
  const until = expires === 0 ? "–" : left <= 0 ? "expired" : seconds(left);
  return refreshed > 0 ? `${until}, refreshed ${refreshed}×` : until;
}

function seconds(ms) {
  const rest = Math.ceil(ms / 1_000);
  if (rest >= 172_800) return `${Math.round(rest / 86_400)} d`;
  if (rest >= 7_200) return `${Math.round(rest / 3_600)} h`;
  return rest >= 120 ? `${Math.round(rest / 60)} min` : `${rest} s`;
}
