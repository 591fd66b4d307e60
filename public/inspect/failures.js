/** What failed lately, in the room that is looked at or anywhere. The list is the Worker's; this filters and shows. */
import { make, write } from "../demo/element.js";
import { nameOf, toHash } from "./address.js";
import { count, momentOf, plain, timeOf } from "./format.js";
import { Poll } from "./poll.js";
import { cell, Rows } from "./rows.js";

const EVERY = 5_000;

export class Failures {
  #part;
  #api;
  #poll;
  #rows;
  #failures;
  #absence = "";
  #room;

  /** @param part finds an element of the list */
  constructor(part, api, trouble) {
    this.#part = part;
    this.#api = api;
    this.#poll = new Poll("Errors", EVERY, (signal) => this.#fetch(signal), trouble);
    this.#rows = new Rows(part("tbody"), row);
    part(".only input").addEventListener("change", () => this.#show());
  }

  start() {
    this.#absence = "";
    this.#poll.start();
  }

  stop() {
    this.#poll.stop();
    this.#failures = undefined;
    this.#show();
  }

  /** Which room is looked at; undefined for none. */
  of(address) {
    this.#room = address ? nameOf(address) : undefined;
    this.#show();
  }

  async #fetch(signal) {
    try {
      const { failures } = await this.#api.get("failures", signal);
      if (signal.aborted) return undefined;
      this.#failures = failures;
      this.#show();
      return undefined;
    } catch (error) {
      if (signal.aborted || ![403, 404].includes(error.status)) throw error;
      this.#absence =
        error.status === 403
          ? "Only who is admin of all rooms sees errors."
          : "This deployment does not tell which errors it had.";
      this.#show();
      return Infinity; // the next token may
    }
  }

  #show() {
    const room = this.#room;
    const choice = this.#part(".only");
    choice.hidden = room === undefined || this.#absence !== "";
    const isOnly = room !== undefined && choice.querySelector("input").checked;
    const all = this.#failures ?? [];
    const shown = isOnly ? all.filter((failure) => failure.kind !== undefined && nameOf(failure) === room) : all;
    const seen = new Map();
    // Nothing in them is unique: the same twice in one millisecond is told apart by its turn.
    const keys = new Map(
      shown.map((failure) => {
        const text = JSON.stringify(failure);
        const turn = (seen.get(text) ?? 0) + 1;
        seen.set(text, turn);
        return [failure, `${turn} ${text}`];
      }),
    );
    this.#rows.show(shown, (failure) => keys.get(failure));
    this.#part("table").hidden = shown.length === 0;
    const empty = this.#part(".empty");
    empty.hidden = shown.length > 0;
    write(empty, this.#absence || (this.#failures ? `No errors${isOnly ? " in this room" : ""}.` : "Asking …"));
    write(this.#part(".much"), this.#failures ? count(shown.length) : "");
  }
}

function row({ at, code, severity, source, kind, room, session, user, requestId, traceId, message }) {
  const time = make("time", "", timeOf(at));
  time.title = momentOf(at);
  const what = make("span", "pill", plain(code));
  if (severity) what.dataset.state = severity;
  const place = cell("Source", "place", make("span", "", plain(source)));
  if (kind !== undefined && room !== undefined) {
    const link = make("a", "", plain(nameOf({ kind, room })));
    link.href = toHash({ kind, room });
    place.append(" ", link);
  }
  const ids = [requestId && `request ${plain(requestId)}`, traceId && `trace ${plain(traceId)}`].filter(Boolean);
  const request = make("code", "cut", requestId ? plain(requestId) : traceId ? plain(traceId) : "–");
  request.title = ids.join("\n");
  const said = make("span", "", message ? plain(message) : "–");
  const whom = [user && plain(user), session && `session ${plain(session).slice(0, 8)}`].filter(Boolean).join(", ");
  const text = cell("Message", "message", said);
  if (whom) text.append(make("span", "soft", ` ${whom}`));
  return {
    row: make(
      "tr",
      "",
      cell("When", "time", time),
      cell("Code", "", what, severity ? make("span", "unseen", `, ${plain(severity)}`) : ""),
      place,
      text,
      cell("Request", "", request),
    ),
    update() {},
  };
}
