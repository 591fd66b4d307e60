/** The members who are there, as the others see them, by pages. */
import { make, write } from "./element.js";
import { count, plain } from "./format.js";
import { Pager } from "./pager.js";

/** Names on the page. */
const SHOWN = 100;

export class Members {
  #part;
  #pager;
  #all = [];
  #wanted = "";
  #shown = "";

  /** @param part finds an element of the room */
  constructor(part) {
    this.#part = part;
    this.#pager = new Pager(part(".members .pager"), { noun: "members", size: SHOWN }, () => this.#draw());
  }

  show(members) {
    this.#all = members;
    this.#draw();
  }

  /** Only those whose id or name has this in it. */
  search(wanted) {
    this.#wanted = wanted;
    this.#pager.restart();
    this.#draw();
  }

  #draw() {
    const found = this.#all.filter(({ id, name }) =>
      [id, name].some((text) => text?.toLowerCase().includes(this.#wanted)),
    );
    const members = this.#pager.cut(found);
    const total = count(this.#all.length);
    write(this.#part(".members .much"), this.#wanted === "" ? total : `${count(found.length)} of ${total}`);
    const text = JSON.stringify([this.#wanted, members]);
    if (text === this.#shown) return; // a title under somebody's pointer stays
    this.#shown = text;
    const empty = this.#part(".members .empty");
    empty.hidden = members.length > 0;
    write(empty, this.#all.length > 0 ? "No member is called that." : "Nobody is here.");
    this.#part(".members ul").replaceChildren(...members.map(entry));
  }
}

function entry({ id, name, data }) {
  const item = make("li", "", make("strong", "cut", plain(name ?? id)));
  if (name !== undefined) item.append(make("span", "cut soft", plain(id)));
  if (data !== undefined) item.append(make("code", "cut", plain(JSON.stringify(data)).slice(0, 200)));
  item.title = plain(id);
  return item;
}
