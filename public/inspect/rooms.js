/** The list of live rooms, or of those with undelivered events: all of its pages, sorted and filtered. Knows rooms only by what the list says of them. */
import { make, write } from "./element.js";
import { nameOf, toHash } from "./address.js";
import { count, momentOf, plain, span } from "./format.js";
import { Freshness } from "./freshness.js";
import { Poll } from "./poll.js";
import { roving } from "./roving.js";
import { cell, Rows, writeWhole } from "./rows.js";

const EVERY = 5_000;
/** Rows on the page; a filter finds the rest. */
const SHOWN = 300;
/** Pages that are read at most: one that leads back to itself ends too. */
const PAGES = 1_000;
/** After an answer that there is no list, in ms. */
const RARELY = 60_000;

export class RoomList {
  #part;
  #api;
  #poll;
  #fresh;
  #rows;
  #rooms;
  #live;
  #missing = new Set();
  #absence = "";
  #order = { by: "connections", isDown: true };
  #current = "";

  /** @param part finds an element of the list */
  constructor(part, api, trouble) {
    this.#part = part;
    this.#api = api;
    this.#poll = new Poll("Rooms", EVERY, (signal) => this.#fetch(signal), trouble);
    this.#fresh = new Freshness(part(".scroll"), part(".age"), this.#poll, EVERY);
    this.#rows = new Rows(part("tbody"), row);
    roving(part("tbody"), "a");
    part(".filter").addEventListener("input", () => this.#show());
    part(".undelivered").addEventListener("change", () => this.#again());
    for (const button of part("thead").querySelectorAll("button")) {
      button.addEventListener("click", () => this.#sort(button.dataset.by));
    }
  }

  /** Every live room, whatever is shown. */
  get all() {
    return this.#live ?? [];
  }

  /** How many parts of the directory the list is without. */
  get missing() {
    return this.#missing.size;
  }

  start() {
    this.#poll.start();
  }

  tick() {
    this.#fresh.tick();
  }

  stop() {
    this.#poll.stop();
    this.#rooms = this.#live = undefined;
    this.#absence = "";
    this.#lacks(new Set());
    this.#show();
  }

  /** Which room is looked at. */
  mark(address) {
    this.#current = address ? nameOf(address) : "";
    this.#show();
  }

  /** Another list: nothing of the one before is true of it. */
  #again() {
    this.#rooms = undefined;
    this.#lacks(new Set());
    this.#show();
    this.#poll.now();
  }

  async #fetch(signal) {
    const isDead = this.#isDead;
    const missing = new Set();
    let live;
    let shown;
    try {
      live = await this.#pages("", missing, signal);
      shown = isDead ? await this.#pages("1", missing, signal) : live;
    } catch (error) {
      // No directory is no failure: rooms can be opened by name all the same.
      if (error.status !== 404 || signal.aborted) throw error;
      this.#rooms = this.#live = [];
      this.#absence = error.message;
      this.#lacks(missing);
      this.#show();
      return RARELY;
    }
    // Somebody may want the other list meanwhile.
    if (signal.aborted || isDead !== this.#isDead) return undefined;
    this.#absence = "";
    this.#live = live;
    this.#rooms = shown;
    this.#lacks(missing);
    this.#show();
    return undefined;
  }

  /** All pages of a list; parts that are missing from it are added to those that are. */
  async #pages(dead, missing, signal) {
    const rooms = [];
    let cursor;
    for (let page = 0; page < PAGES; page++) {
      const query = new URLSearchParams({ ...(cursor !== undefined && { cursor }), ...(dead && { dead }) });
      const answer = await this.#api.get(query.size === 0 ? "rooms" : `rooms?${query}`, signal);
      rooms.push(...answer.rooms);
      for (const part of answer.incomplete ?? []) missing.add(part);
      cursor = answer.next;
      if (cursor === undefined) break;
    }
    return rooms;
  }

  get #isDead() {
    return this.#part(".undelivered").checked;
  }

  #lacks(missing) {
    this.#missing = missing;
    this.#fresh.lacks([...missing]);
  }

  #sort(by) {
    const isSame = this.#order.by === by;
    this.#order = { by, isDown: isSame ? !this.#order.isDown : by !== "name" };
    this.#show();
  }

  #show() {
    const { by, isDown } = this.#order;
    for (const button of this.#part("thead").querySelectorAll("button")) {
      const isSorted = button.dataset.by === by;
      button.parentElement.ariaSort = isSorted ? (isDown ? "descending" : "ascending") : "none";
    }
    const wanted = this.#part(".filter").value.trim().toLowerCase();
    const rooms = this.#rooms ?? [];
    const found = rooms.filter((room) => nameOf(room).toLowerCase().includes(wanted));
    const sign = isDown ? -1 : 1;
    const byName = (a, b) => (nameOf(a) < nameOf(b) ? -1 : 1);
    found.sort((a, b) => (by === "name" ? sign * byName(a, b) : sign * (a[by] - b[by]) || byName(a, b)));
    const current = this.#current;
    this.#rows.show(
      found.slice(0, SHOWN).map((room) => ({ ...room, isCurrent: nameOf(room) === current })),
      nameOf,
    );
    write(this.#part(".totals"), this.#rooms && !this.#absence ? totals(rooms, found, wanted) : "");
    write(this.#part("h2"), this.#isDead ? "Rooms with undelivered events" : "Live rooms");
    this.#part("table").hidden = found.length === 0;
    const empty = this.#part(".empty");
    empty.hidden = found.length > 0;
    write(empty, this.#emptiness(rooms.length));
  }

  #emptiness(all) {
    if (!this.#rooms) return `Asking which rooms ${this.#isDead ? "have undelivered events" : "are live"} …`;
    if (this.#absence) return plain(this.#absence);
    if (all > 0) return "No room of the list is called that.";
    if (this.#isDead) return `No room${this.missing > 0 ? " of the other parts" : ""} has undelivered events.`;
    if (this.missing > 0) return "No room of the other parts is live.";
    return "No room is live. One is listed when its first member connects.";
  }
}

function totals(rooms, found, wanted) {
  const sum = (key, noun) => {
    const all = found.reduce((before, room) => before + room[key], 0);
    return `${count(all)} ${noun}${all === 1 ? "" : "s"}`;
  };
  const shown = found.length > SHOWN ? `, the first ${SHOWN} shown` : "";
  const of = wanted ? ` of ${count(rooms.length)}` : "";
  const noun = (wanted ? rooms : found).length === 1 ? "room" : "rooms";
  return `${count(found.length)}${of} ${noun}${shown} · ${sum("connections", "connection")} · ${sum("members", "member")}`;
}

function row(room) {
  const link = make("a", "cut");
  link.href = toHash(room);
  const kind = make("span", "soft", `${plain(room.kind)}/`);
  const held = make("span", "held small");
  link.append(kind, plain(room.room), " ", held);
  link.title = nameOf(room);
  const [connections, members, offset] = ["Connections", "Members", "Publications"].map((label) =>
    cell(label, "number"),
  );
  const age = cell("Age", "number soft");
  return {
    row: make("tr", "", cell("Room", "name", link), connections, members, offset, age),
    update(item) {
      if (item.isCurrent) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
      write(held, undelivered(item));
      write(connections, count(item.connections));
      write(members, count(item.members));
      write(offset, count(item.offset));
      writeWhole(age, span(Date.now() - item.at), `Reported ${momentOf(item.at)}`);
    },
  };
}

function undelivered({ dead = 0, pending = 0 }) {
  return [dead > 0 && `${count(dead)} dead`, pending > 0 && `${count(pending)} held up`].filter(Boolean).join(", ");
}
