/** The members who are there, as the others see them, by pages: those of the page, and in a large room those of the server. */
import { make, write } from "./element.js";
import { count, plain } from "./format.js";
import { Further } from "./further.js";
import { Pager } from "./pager.js";

/** Names on the page. */
const SHOWN = 100;

export class Members {
  #part;
  #pager;
  #further;
  #total = 0;
  #all = [];
  #wanted = "";
  #shown = "";

  /**
   * @param part finds an element of the room
   * @param look asks for the members
   */
  constructor(part, look) {
    this.#part = part;
    this.#pager = new Pager(part(".members .pager"), { noun: "members", size: SHOWN }, () => this.#draw());
    this.#further = new Further(part(".members .further"), "members", () => {
      this.#pager.restart();
      look();
    });
  }

  /** Which of them are wanted. */
  get query() {
    return this.#further.query;
  }

  /** How many members the room has. */
  count(total) {
    this.#total = total;
  }

  show({ members, next }) {
    this.#all = members;
    this.#further.show(next);
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
    const here = count(this.#all.length);
    const total = this.#further.isPart ? `${here} of ${count(this.#total)} members` : here;
    write(this.#part(".members .much"), this.#wanted === "" ? total : `${count(found.length)} of ${total}`);
    const text = JSON.stringify([this.#wanted, members]);
    if (text === this.#shown) return; // a title under somebody's pointer stays
    this.#shown = text;
    const empty = this.#part(".members .empty");
    empty.hidden = members.length > 0;
    const where = this.#further.isPart ? " of this part" : "";
    write(empty, this.#all.length > 0 ? `No member${where} is called that.` : "Nobody is here.");
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
