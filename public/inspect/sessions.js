/** The sessions of a room by pages, how well they keep up, and the button that ends them. */
import { relayOf } from "./address.js";
import { make, write } from "./element.js";
import { ago, bytes, count, momentOf, plain } from "./format.js";
import { Further } from "./further.js";
import { Pager } from "./pager.js";
import { roving } from "./roving.js";
import { cell, Rows, writeWhole } from "./rows.js";

/**
 * Publications that a client may leave unacknowledged before the room waits for it (CREDIT_ITEMS of the room). Up to there
 * nothing is wrong: clients acknowledge every 640.
 */
export const CREDIT = 1_024;
/** Rows on the page. */
const SHOWN = 100;

/** Whether somebody is there. Of one at a relay only the relay knows whether it is connected at this moment. */
export const isHere = ({ connected, present }) => connected ?? present ?? false;

const opened = ({ since = 0 }) => since;
const byUser = (a, b) => (a.user < b.user ? -1 : a.user > b.user ? 1 : opened(a) - opened(b));
const ORDERS = {
  user: (a, b) => isHere(b) - isHere(a) || byUser(a, b),
  behind: (a, b) => (b.missed ?? 0) - (a.missed ?? 0) || (b.lag ?? 0) - (a.lag ?? 0) || byUser(a, b),
  newest: (a, b) => opened(b) - opened(a) || byUser(a, b),
};

export class Sessions {
  #part;
  #rows;
  #pager;
  #further;
  #total = 0;
  #all = [];
  #wanted = "";

  /**
   * @param part finds an element of the room
   * @param ending makes the button that ends sessions of `{user, session}`
   * @param look asks for the sessions
   */
  constructor(part, ending, look) {
    this.#part = part;
    this.#rows = new Rows(part(".sessions tbody"), (session) => row(session, ending));
    this.#pager = new Pager(part(".sessions .pager"), { noun: "connections", size: SHOWN }, () => this.#draw());
    this.#further = new Further(part(".sessions .further"), "connections", () => {
      this.#pager.restart();
      look();
    });
    roving(part(".sessions tbody"), ".confirmed > button");
    part(".order").addEventListener("change", () => {
      this.#pager.restart();
      this.#draw();
    });
  }

  /** Which of them are wanted. */
  get query() {
    return this.#further.query;
  }

  /** How many sessions the room has. */
  count(total) {
    this.#total = total;
  }

  show({ sessions, next }) {
    this.#all = sessions;
    this.#further.show(next);
    this.#draw();
  }

  /** Only those whose user, name or session has this in it. */
  search(wanted) {
    this.#wanted = wanted;
    this.#pager.restart();
    this.#draw();
  }

  #draw() {
    const all = this.#all;
    const wanted = this.#wanted;
    const found = all.filter((session) =>
      [session.user, session.name, session.session].some((text) => text?.toLowerCase().includes(wanted)),
    );
    const shown = this.#pager.cut(found.toSorted(ORDERS[this.#part(".order").value]));
    this.#rows.show(shown, ({ session }) => session);
    this.#part(".sessions table").hidden = shown.length === 0;
    const empty = this.#part(".sessions .empty");
    empty.hidden = shown.length > 0;
    write(
      empty,
      all.length > 0
        ? `None of ${count(all.length)} has “${plain(wanted)}” in its user, name or session.`
        : "Nobody is connected, and no session waits to be resumed.",
    );
    const on = found.filter(({ connected }) => connected).length;
    const away = found.filter((session) => session.relay !== undefined && isHere(session)).length;
    const dropped = `${count(found.length - on - away)} dropped`;
    const of = wanted === "" ? "" : ` of ${count(all.length)}`;
    const part = this.#further.isPart ? `, a part of ${count(this.#total)}` : "";
    const parts = [`${count(on)} connected`, ...(away > 0 ? [`${count(away)} at relays`] : []), dropped];
    write(this.#part(".sessions .much"), `${parts.join(", ")}${of}${part}`);
  }
}

function row({ session, user }, ending) {
  const name = make("strong", "cut");
  const id = make("span", "cut soft");
  const state = make("span", "pill");
  const since = cell("Since", "number");
  const [heard, missed, lag, unread] = ["Last heard", "Missed", "Lag", "Unread"].map((label) => cell(label, "number"));
  const short = make("code", "", session.slice(0, 8));
  short.title = session;
  return {
    row: make(
      "tr",
      "",
      cell("User", "who", name, id),
      cell("Session", "time", short),
      cell("State", "", state),
      since,
      heard,
      missed,
      lag,
      unread,
      cell("", "act", ending({ user, session })),
    ),
    update(item) {
      writeWhole(name, plain(item.name ?? item.user));
      writeWhole(id, item.name === undefined ? "" : plain(item.user));
      state.dataset.state = isHere(item) ? "live" : "dropped";
      writeWhole(state, ...stateOf(item));
      if (item.since === undefined) writeWhole(since, "–", "");
      else writeWhole(since, ago(item.since), momentOf(item.since));
      if (item.heardAt > 0) writeWhole(heard, ago(item.heardAt), momentOf(item.heardAt));
      else writeWhole(heard, item.heardAt === 0 ? "not yet" : "–", "");
      write(missed, item.missed === undefined ? "–" : count(item.missed));
      write(lag, item.lag === undefined ? "–" : count(item.lag));
      write(unread, item.unread === undefined ? "–" : bytes(item.unread));
      missed.classList.toggle("warn", item.missed > 0);
      lag.classList.toggle("warn", item.lag >= CREDIT);
    },
  };
}

/** How a session is, and what there is to add. */
function stateOf({ connected, droppedAt, relay, present }) {
  if (relay !== undefined) return [`${present ? "" : "dropped "}at ${plain(relayOf(relay))}`, plain(relay)];
  if (connected) return ["connected", ""];
  if (droppedAt === undefined) return ["dropped", ""];
  return [`dropped ${ago(droppedAt)}`, `Dropped ${momentOf(droppedAt)}, and may be resumed`];
}
