/** The members who are there, as the others see them. */
import { make, write } from "../demo/element.js";
import { count, plain } from "./format.js";

/** Names on the page. */
const SHOWN = 200;

export class Members {
  #part;
  #shown = "";

  /** @param part finds an element of the room */
  constructor(part) {
    this.#part = part;
  }

  show(members) {
    const text = JSON.stringify(members);
    if (text === this.#shown) return; // a title under somebody's pointer stays
    this.#shown = text;
    write(this.#part(".members .much"), count(members.length));
    this.#part(".members .empty").hidden = members.length > 0;
    const items = members.slice(0, SHOWN).map(({ id, name, data }) => {
      const item = make("li", "", make("strong", "cut", plain(name ?? id)));
      if (name !== undefined) item.append(make("span", "cut soft", plain(id)));
      if (data !== undefined) item.append(make("code", "cut", plain(JSON.stringify(data)).slice(0, 200)));
      item.title = plain(id);
      return item;
    });
    if (members.length > SHOWN) items.push(make("li", "soft", `and ${count(members.length - SHOWN)} more`));
    this.#part(".members ul").replaceChildren(...items);
  }
}
