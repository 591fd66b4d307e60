/** The members who are here, those who type, and what to call them, also after they left. */
import { make } from "./element.js";
import { colour, plainName } from "./person.js";

export class People {
  #list;
  #names = new Map();

  constructor(list) {
    this.#list = list;
  }

  /** The list as the room tells it; `me` comes first. Returns the names of the others who type. */
  show(members, me) {
    for (const { id, name } of members) if (name) this.#names.set(id, name);
    const ordered = members.toSorted((a, b) => Number(b.id === me) - Number(a.id === me));
    this.#list.replaceChildren(
      ...ordered.map(({ id, data }) => this.#chip(id, id === me, id !== me && data?.typing === true)),
    );
    return members.filter(({ id, data }) => id !== me && data?.typing === true).map(({ id }) => this.nameOf(id));
  }

  nameOf(id) {
    return this.#names.get(id) ?? plainName(id);
  }

  #chip(id, isMe, isTyping) {
    const chip = colour(make("li", isTyping ? "types" : "", avatar(this.nameOf(id)), this.nameOf(id)), id);
    if (isMe) chip.append(make("span", "soft", "you"));
    if (isTyping) chip.append(make("span", "pen", make("span", "unseen", "is typing")));
    return chip;
  }
}

function avatar(name) {
  const circle = make("span", "avatar", [...name][0] ?? "?");
  circle.ariaHidden = "true";
  return circle;
}
