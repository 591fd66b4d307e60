/** The sessions that are connected, how well they keep up, and the button that ends it. */
import { make, write } from "../demo/element.js";
import { careful } from "./confirm.js";
import { ago, bytes, count, momentOf, plain } from "./format.js";
import { cell, Rows, writeWhole } from "./rows.js";

/** Publications behind, heartbeats missed: worth a look from here on. */
const LAGS = 700;
/** Rows on the page. */
const SHOWN = 300;

export class Sessions {
  #part;
  #rows;

  /**
   * @param part finds an element of the room
   * @param kick ends a session; settles when that is done or has failed
   */
  constructor(part, kick) {
    this.#part = part;
    this.#rows = new Rows(part(".sessions tbody"), (session) => row(session, kick));
  }

  show(sessions) {
    // Of too many, those who keep up worst.
    const crowd = sessions.toSorted((a, b) => (b.missed ?? 0) - (a.missed ?? 0) || (b.lag ?? 0) - (a.lag ?? 0));
    // Those on the line first; the order does not change with what the numbers do.
    const order = crowd
      .slice(0, SHOWN)
      .toSorted(
        (a, b) => b.connected - a.connected || (a.user < b.user ? -1 : a.user > b.user ? 1 : 0) || a.since - b.since,
      );
    this.#rows.show(order, ({ session }) => session);
    this.#part(".sessions table").hidden = order.length === 0;
    this.#part(".sessions .empty").hidden = order.length > 0;
    const on = sessions.filter(({ connected }) => connected).length;
    const shown = order.length < sessions.length ? `, the ${SHOWN} furthest behind shown` : "";
    write(this.#part(".sessions .much"), `${count(on)} connected, ${count(sessions.length - on)} dropped${shown}`);
  }
}

function row({ session, user }, kick) {
  const name = make("strong", "cut");
  const id = make("span", "cut soft");
  const state = make("span", "pill");
  const since = cell("Since", "number");
  const [heard, missed, lag, unread] = ["Last heard", "Missed", "Lag", "Unread"].map((label) => cell(label, "number"));
  const button = careful({
    label: "Kick",
    question: ["End it?"],
    className: "quiet tiny",
    act: () => kick(session, plain(user)),
  });
  button.querySelector("button").setAttribute("aria-label", `Kick ${plain(user)}, session ${session.slice(0, 8)}`);
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
      cell("", "act", button),
    ),
    update(item) {
      writeWhole(name, plain(item.name ?? item.user));
      writeWhole(id, item.name === undefined ? "" : plain(item.user));
      state.dataset.state = item.connected ? "live" : "dropped";
      writeWhole(
        state,
        item.connected ? "connected" : `dropped ${item.droppedAt === undefined ? "" : ago(item.droppedAt)}`.trim(),
        item.droppedAt === undefined ? "" : `Dropped ${momentOf(item.droppedAt)}`,
      );
      writeWhole(since, ago(item.since), momentOf(item.since));
      if (item.heardAt > 0) writeWhole(heard, ago(item.heardAt), momentOf(item.heardAt));
      else writeWhole(heard, item.heardAt === 0 ? "not yet" : "–", "");
      write(missed, item.missed === undefined ? "–" : count(item.missed));
      write(lag, item.lag === undefined ? "–" : count(item.lag));
      write(unread, item.unread === undefined ? "–" : bytes(item.unread));
      missed.classList.toggle("warn", item.missed > 0);
      lag.classList.toggle("warn", item.lag >= LAGS);
    },
  };
}
