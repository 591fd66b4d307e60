/** The sessions of a room by pages, how well they keep up, and the button that ends them. */
import { make, write } from "./element.js";
import { ago, bytes, count, momentOf, plain } from "./format.js";
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

const byUser = (a, b) => (a.user < b.user ? -1 : a.user > b.user ? 1 : a.since - b.since);
const ORDERS = {
  user: (a, b) => b.connected - a.connected || byUser(a, b),
  behind: (a, b) => (b.missed ?? 0) - (a.missed ?? 0) || (b.lag ?? 0) - (a.lag ?? 0) || byUser(a, b),
  newest: (a, b) => b.since - a.since || byUser(a, b),
};

export class Sessions {
  #part;
  #rows;
  #pager;
  #all = [];
  #wanted = "";

  /**
   * @param part finds an element of the room
   * @param ending makes the button that ends sessions of `{user, session}`
   */
  constructor(part, ending) {
    this.#part = part;
    this.#rows = new Rows(part(".sessions tbody"), (session) => row(session, ending));
    this.#pager = new Pager(part(".sessions .pager"), { noun: "connections", size: SHOWN }, () => this.#draw());
    roving(part(".sessions tbody"), ".confirmed > button");
    part(".order").addEventListener("change", () => {
      this.#pager.restart();
      this.#draw();
    });
  }

  show(sessions) {
    this.#all = sessions;
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
    const of = wanted === "" ? "" : ` of ${count(all.length)}`;
    write(this.#part(".sessions .much"), `${count(on)} connected, ${count(found.length - on)} dropped${of}`);
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
      state.dataset.state = item.connected ? "live" : "dropped";
      writeWhole(
        state,
        item.connected ? "connected" : `dropped ${item.droppedAt === undefined ? "" : ago(item.droppedAt)}`.trim(),
        item.droppedAt === undefined ? "" : `Dropped ${momentOf(item.droppedAt)}, and may be resumed`,
      );
      writeWhole(since, ago(item.since), momentOf(item.since));
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
