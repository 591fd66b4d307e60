/**
 * Finds a user in all live rooms, and ends them there. No index says where a user is: every room is asked for its sessions,
 * those with the most connections first. That wakes them, so it is done when somebody asks, and so many at a time.
 */
import { make, write } from "./element.js";
import { nameOf, pathOf, toHash } from "./address.js";
import { count, plain } from "./format.js";
import { missingText } from "./freshness.js";
import { roving } from "./roving.js";
import { isHere } from "./sessions.js";

/** Rooms that one search asks, and how many of them at once. */
const ROOMS = 200;
const AT_ONCE = 4;
/** Sessions that a large room tells at once. */
const PAGE = 1_000;
/** Users shown, at most. */
const SHOWN = 200;

export class Find {
  #part;
  #api;
  #rooms;
  #missing;
  #operator;
  #control = new AbortController();
  #wanted = "";
  #left = [];
  #asked = 0;
  #failed = 0;
  /** Rooms that have more sessions than they told. */
  #large = 0;
  #found = 0;
  #chosen;

  /**
   * @param part finds an element of the form
   * @param rooms gives all live rooms
   * @param missing gives the number of parts of the directory whose rooms are not among them
   * @param operator makes the buttons
   */
  constructor(part, { api, rooms, missing, operator }) {
    this.#part = part;
    this.#api = api;
    this.#rooms = rooms;
    this.#missing = missing;
    this.#operator = operator;
    roving(part(".found"), "a, .confirmed > button");
    const form = part("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#begin(form.elements.user.value.trim().toLowerCase());
    });
    part(".further").addEventListener("click", () => void this.#search());
  }

  /** The user whose room somebody chose here; undefined for a room that was opened otherwise. */
  chosenIn(address) {
    return this.#chosen?.room === nameOf(address) ? this.#chosen.user : undefined;
  }

  stop() {
    this.#begin("");
  }

  #begin(wanted) {
    this.#control.abort();
    this.#control = new AbortController();
    this.#wanted = wanted;
    this.#chosen = undefined;
    this.#asked = this.#failed = this.#large = this.#found = 0;
    this.#part(".found").replaceChildren();
    this.#left = wanted === "" ? [] : this.#rooms().toSorted((a, b) => b.connections - a.connections);
    if (wanted === "") this.#say("", true);
    else void this.#search();
  }

  async #search() {
    const { signal } = this.#control;
    const batch = this.#left.splice(0, ROOMS);
    const total = this.#asked + batch.length + this.#left.length;
    const next = async () => {
      for (let room = batch.shift(); room && !signal.aborted; room = batch.shift()) {
        await this.#ask(room, signal);
        if (!signal.aborted) this.#say(`Asked ${count(this.#asked)} of ${count(total)} rooms …`, true);
      }
    };
    this.#say("Asking …", true);
    await Promise.all(Array.from({ length: AT_ONCE }, next));
    if (signal.aborted) return;
    const users = this.#found === 0 ? "Not found" : `${count(this.#found)} found`;
    const failed = this.#failed > 0 ? `; ${count(this.#failed)} did not answer` : "";
    const cut = this.#found > SHOWN ? `, the first ${SHOWN} shown` : "";
    const missing = missingText(this.#missing());
    const large = this.#large > 0 ? ` ${count(this.#large)} large: only their first ${count(PAGE)} sessions.` : "";
    this.#say(
      `${users}${cut}. Asked ${count(this.#asked)} of ${count(total)} live rooms${failed}.${large}${missing && ` ${missing}.`}`,
      this.#left.length === 0,
    );
  }

  async #ask(room, signal) {
    let sessions = [];
    let next;
    try {
      ({ sessions, next } = await this.#api.get(`${pathOf(room)}/sessions`, signal));
    } catch {
      this.#failed++;
    }
    this.#asked++;
    if (signal.aborted) return;
    if (next !== undefined) this.#large++;
    const hits = sessions.filter(({ user, name }) =>
      [user, name].some((text) => text?.toLowerCase().includes(this.#wanted)),
    );
    for (const [user, theirs] of Map.groupBy(hits, (session) => session.user)) {
      if (++this.#found <= SHOWN) this.#part(".found").append(this.#hit(room, user, theirs));
    }
  }

  #hit(room, user, theirs) {
    const link = make("a", "cut", plain(user));
    link.href = toHash(room);
    link.title = `${plain(user)} in ${nameOf(room)}`;
    link.addEventListener("click", () => (this.#chosen = { room: nameOf(room), user }));
    const name = theirs.find((session) => session.name !== undefined)?.name;
    const on = theirs.filter(isHere).length;
    const more = `${name === undefined ? "" : `${plain(name)}, `}${nameOf(room)}, ${on} of ${theirs.length} connected`;
    const what = make("span", "cut soft small", more);
    what.title = more;
    return make(
      "li",
      "",
      make("div", "", link, what),
      this.#operator.ending(room, { user }, () => undefined),
    );
  }

  #say(text, isAll) {
    write(this.#part(".result"), text);
    this.#part(".further").hidden = isAll;
  }
}
