/** The members who are here, those who type, and what to call them, also after they left. */
import { make, write } from "../inspect/element.js";
import { colour, plainName } from "./person.js";

/** People by name; the others are a number. */
const SHOWN = 24;
/** Names kept of people who left, at most. */
const REMEMBERED = 2_000;

export class People {
  #list;
  #here;
  #names = new Map();

  /**
   * @param list of those who are here
   * @param here says how many they are
   */
  constructor(list, here) {
    this.#list = list;
    this.#here = here;
  }

  /** The list as the room tells it: `me` first, then those who type. Returns the names of the others who type. */
  show(members, me) {
    for (const { id, name } of members) if (name) this.#remember(id, name);
    const types = ({ id, data }) => id !== me && data?.typing === true;
    const typists = members.filter(types);
    const rank = (member) => (member.id === me ? 0 : types(member) ? 1 : 2);
    const chips = members
      .toSorted((a, b) => rank(a) - rank(b))
      .slice(0, SHOWN)
      .map((member) => this.#chip(member.id, member.id === me, types(member)));
    const rest = members.length - chips.length;
    if (rest > 0) chips.push(make("li", "rest", `and ${rest} more`));
    this.#list.replaceChildren(...chips);
    write(this.#here, members.length === 0 ? "" : `${members.length} here`);
    return typists.map(({ id }) => this.nameOf(id));
  }

  nameOf(id) {
    return this.#names.get(id) ?? plainName(id);
  }

  #remember(id, name) {
    this.#names.delete(id);
    this.#names.set(id, name);
    if (this.#names.size > REMEMBERED) this.#names.delete(this.#names.keys().next().value);
  }

  #chip(id, isMe, isTyping) {
    const name = this.nameOf(id);
    const chip = colour(make("li", isTyping ? "types" : "", avatar(name), make("span", "called", name)), id);
    chip.title = name;
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
