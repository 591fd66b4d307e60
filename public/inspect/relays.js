/** The relays of a large room: where they are, how many connections they have, and how far behind they are. */
import { relayOf } from "./address.js";
import { make, write } from "./element.js";
import { ago, count, momentOf, plain } from "./format.js";
import { Pager } from "./pager.js";
import { cell, Rows, writeWhole } from "./rows.js";
import { CREDIT } from "./sessions.js";

/** Rows on the page. */
const SHOWN = 100;

const inOrder = new Intl.Collator(undefined, { numeric: true }).compare;

export class Relays {
  #part;
  #rows;
  #pager;
  #all = [];

  /** @param part finds an element of the room */
  constructor(part) {
    this.#part = part;
    this.#rows = new Rows(part(".relays tbody"), row);
    this.#pager = new Pager(part(".relays .pager"), { noun: "relays", size: SHOWN }, () => this.#draw());
  }

  /** A room without relays shows nothing of them. */
  show({ relays = [], regions = {}, direct = 0, connections }) {
    this.#all = relays.toSorted((a, b) => inOrder(a.region, b.region) || inOrder(a.name, b.name));
    this.#part(".relays").hidden = relays.length === 0;
    if (relays.length === 0) return;
    const at = `${count(connections - direct)} at ${count(relays.length)} ${relays.length === 1 ? "relay" : "relays"}`;
    write(this.#part(".relays .much"), `${at}, ${count(direct)} with the room itself`);
    const sums = Object.entries(regions).toSorted(([a], [b]) => inOrder(a, b));
    const text = JSON.stringify(sums);
    const list = this.#part(".regions");
    if (list.dataset.shown !== text) list.replaceChildren(...sums.map(sum));
    list.dataset.shown = text;
    this.#draw();
  }

  #draw() {
    this.#rows.show(this.#pager.cut(this.#all), ({ name }) => name);
  }
}

function sum([region, { relays, connections }]) {
  const small = `${count(relays)} ${relays === 1 ? "relay" : "relays"}`;
  const value = make("dd", "", count(connections), " ", make("small", "", small));
  return make("div", "", make("dt", "", plain(region)), value);
}

function row({ name, region }) {
  const short = make("code", "cut", plain(relayOf(name)));
  short.title = plain(name);
  const [connections, lag, heard] = ["Connections", "Lag", "Last heard"].map((label) => cell(label, "number"));
  return {
    row: make("tr", "", cell("Relay", "who", short), cell("Region", "", plain(region)), connections, lag, heard),
    update(relay) {
      write(connections, count(relay.connections));
      write(lag, relay.lag === undefined ? "–" : count(relay.lag));
      lag.classList.toggle("warn", relay.lag >= CREDIT);
      if (relay.heardAt === undefined) writeWhole(heard, "not yet", "Not since the room woke");
      else writeWhole(heard, ago(relay.heardAt), momentOf(relay.heardAt));
    },
  };
}
