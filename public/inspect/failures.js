/**
 * What failed lately, and why rooms ended connections, in the room that is looked at or anywhere, by code: how often, when
 * last, and each by itself. The list is the Worker's; this groups, filters and shows.
 */
import { make, write } from "./element.js";
import { nameOf, toHash } from "./address.js";
import { ago, count, momentOf, plain, timeOf } from "./format.js";
import { Freshness } from "./freshness.js";
import { Poll } from "./poll.js";
import { roving } from "./roving.js";
import { cell, Rows, writeWhole } from "./rows.js";

const EVERY = 5_000;
const COLUMNS = ["When", "Source", "Message", "Request"];

export class Failures {
  #part;
  #api;
  #poll;
  #fresh;
  #groups;
  /** Failures, and ends of connections, which know that they are. */
  #failures;
  #absence = "";
  #room;

  /** @param part finds an element of the list */
  constructor(part, api, trouble) {
    this.#part = part;
    this.#api = api;
    this.#poll = new Poll("Errors", EVERY, (signal) => this.#fetch(signal), trouble);
    this.#fresh = new Freshness(part(".scroll"), part(".age"), this.#poll, EVERY);
    this.#groups = new Rows(part(".groups"), group);
    roving(part(".groups"), "summary");
    part(".only input").addEventListener("change", () => this.#show());
  }

  start() {
    this.#absence = "";
    this.#poll.start();
  }

  stop() {
    this.#poll.stop();
    this.#failures = undefined;
    this.#fresh.lacks();
    this.#show();
  }

  tick() {
    this.#fresh.tick();
  }

  /** Which room is looked at; undefined for none. */
  of(address) {
    this.#room = address ? nameOf(address) : undefined;
    this.#show();
  }

  async #fetch(signal) {
    try {
      // A Worker of an older version knows of no ends.
      const { failures, ends = [], incomplete } = await this.#api.get("failures", signal);
      if (signal.aborted) return undefined;
      this.#failures = [...failures, ...ends.map((end) => ({ ...end, isEnd: true }))];
      this.#fresh.lacks(incomplete);
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
    const groups = [...Map.groupBy(shown, ({ code, isEnd = false }) => `${isEnd} ${code}`)]
      .map(([key, failures]) => ({ key, failures: failures.toSorted((a, b) => b.at - a.at) }))
      .toSorted((a, b) => b.failures[0].at - a.failures[0].at);
    this.#groups.show(groups, ({ key }) => key);
    const empty = this.#part(".empty");
    empty.hidden = shown.length > 0;
    write(empty, this.#absence || (this.#failures ? `No errors${isOnly ? " in this room" : ""}.` : "Asking …"));
    const of = all.length > 0 ? ` of the newest ${count(all.length)}` : "";
    write(this.#part(".much"), this.#failures ? `${count(shown.length)}${of}` : "");
  }
}

/** All failures of one code, or all ends of connections for one reason: a line that opens to a table. */
function group({ failures: [{ code, severity, isEnd }] }) {
  const what = make("span", "pill", plain(code));
  if (severity) what.dataset.state = severity;
  const [times, last, newest] = [make("strong", "times"), make("span", "last soft"), make("span", "newest cut soft")];
  const grave = severity ? make("span", "unseen", `, ${plain(severity)}`) : "";
  const body = make("tbody", "");
  const head = make("tr", "", ...COLUMNS.map((name) => make("th", "", name)));
  const table = make("table", "grid-table", make("thead", "", head), body);
  const details = make("details", "", make("summary", "", what, grave, times, last, newest), table);
  const rows = new Rows(body, entry);
  let current = [];
  // Made when somebody wants it.
  const draw = () => details.open && rows.show(current, keysOf(current));
  details.addEventListener("toggle", draw);
  return {
    row: make("li", "", details),
    update({ failures }) {
      current = failures;
      const [{ at, source, message }] = failures;
      write(times, `${count(failures.length)} ${isEnd ? "ended" : "×"}`);
      writeWhole(last, `last ${ago(at)}`, momentOf(at));
      writeWhole(newest, [source, message].filter(Boolean).map(plain).join(": "));
      draw();
    },
  };
}

/** Nothing in failures is unique: the same twice in one millisecond is told apart by its turn. */
function keysOf(failures) {
  const seen = new Map();
  const keys = new Map(
    failures.map((failure) => {
      const text = JSON.stringify(failure);
      const turn = (seen.get(text) ?? 0) + 1;
      seen.set(text, turn);
      return [failure, `${turn} ${text}`];
    }),
  );
  return (failure) => keys.get(failure);
}

function entry({ at, source, kind, room, session, user, requestId, traceId, message }) {
  const time = make("time", "", timeOf(at));
  time.title = momentOf(at);
  const place = cell("Source", "place", make("span", "", plain(source)));
  // The room of a stranger's request has no name here: strangers choose names.
  if (kind && room) {
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
  const when = cell("When", "time", time);
  return { row: make("tr", "", when, place, text, cell("Request", "", request)), update() {} };
}
