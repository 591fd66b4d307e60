/** Events that could not be delivered and were set aside, and the button that tries them again. */
import { make, write } from "./element.js";
import { careful } from "./confirm.js";
import { count, momentOf, plain, timeOf } from "./format.js";
import { cell, Rows } from "./rows.js";

export class DeadLetters {
  #part;
  #rows;

  /**
   * @param part finds an element of the room
   * @param redeliver puts them back; settles when that is done or has failed
   */
  constructor(part, redeliver) {
    this.#part = part;
    this.#rows = new Rows(part(".dead tbody"), row);
    const question = ["Deliver them all again?"];
    part(".dead header").append(careful({ label: "Redeliver", question, act: redeliver, className: "quiet tiny" }));
  }

  show(dead) {
    this.#part(".dead").hidden = dead.length === 0;
    write(this.#part(".dead .much"), count(dead.length));
    this.#rows.show(dead, ({ id }) => id);
  }
}

function row({ id, at, tries, error, events }) {
  const time = make("time", "", timeOf(at));
  time.title = momentOf(at);
  const name = make("code", "cut", plain(id));
  name.title = plain(id);
  return {
    row: make(
      "tr",
      "",
      cell("Since", "time", time),
      cell("Letter", "", name),
      cell("Events", "number", count(events)),
      cell("Tries", "number", count(tries)),
      cell("Error", "", make("span", "pill", plain(error))),
    ),
    update() {},
  };
}
