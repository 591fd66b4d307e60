/**
 * Events that could not be delivered: the batch that holds up the others, and those that were set aside, by pages. Each opens
 * to its events, and has its buttons. Knows no path: it is handed what does things.
 */
import { make, write } from "./element.js";
import { careful } from "./confirm.js";
import { count, momentOf, plain, timeOf, until } from "./format.js";
import { Pager } from "./pager.js";
import { roving } from "./roving.js";
import { cell, Rows, writeWhole } from "./rows.js";

/** Rows on the page. */
const SHOWN = 100;
/** Characters of the events of one batch. */
const WHOLE = 50_000;
const GONE = "Nothing brings them back.";

export class DeadLetters {
  #part;
  #rows;
  #pager;
  #all = [];
  #stuck;

  /**
   * @param part finds an element of the room
   * @param acts `redeliver(id?)`, `drop(id?)` and `skip(id)` settle when that is done or has failed; `look(id)` brings a batch
   */
  constructor(part, acts) {
    this.#part = part;
    this.#rows = new Rows(part(".dead tbody"), (letter) => row(letter, acts));
    this.#pager = new Pager(part(".dead .pager"), { noun: "dead letters", size: SHOWN }, () => this.#draw());
    roving(part(".dead tbody"), "summary, .confirmed > button");
    const all = { className: "quiet tiny" };
    part(".dead .all").append(
      careful({ label: "Redeliver all", question: ["Deliver them all again?"], act: () => acts.redeliver(), ...all }),
      careful({ label: "Drop all", question: [`Forget them all for good? ${GONE}`], act: () => acts.drop(), ...all }),
    );
    part(".dead .held").append(
      careful({
        label: "Skip",
        question: ["Set this batch aside as a dead letter, and go on with the next?"],
        act: () => acts.skip(this.#stuck.id),
        className: "quiet tiny",
      }),
    );
  }

  /** @param answer `{dead, stuck}` of the room */
  show({ dead, stuck }) {
    this.#all = dead;
    this.#stuck = stuck;
    this.#draw();
    const held = this.#part(".dead .held");
    held.hidden = !stuck;
    if (!stuck) return;
    const { id, events, tries, nextTry } = stuck;
    const times = `${count(tries)} ${tries === 1 ? "time" : "times"}`;
    const text = `Held up by ${plain(id)}: ${eventsIn(events)}, failed ${times}, next try ${until(nextTry)}.`;
    writeWhole(held.querySelector(".why"), text, `Made ${momentOf(stuck.at)}`);
  }

  #draw() {
    const dead = this.#all;
    const isThere = dead.length > 0;
    this.#part(".dead").hidden = !isThere && !this.#stuck;
    this.#part(".dead .all").hidden = this.#part(".dead .scroll").hidden = !isThere;
    write(this.#part(".dead .much"), isThere ? count(dead.length) : "");
    this.#rows.show(this.#pager.cut(dead), ({ id }) => id);
  }
}

function row({ id, at, tries, error, events }, acts) {
  const time = make("time", "", timeOf(at));
  time.title = momentOf(at);
  const name = make("code", "", plain(id));
  const act = (label, question, run) => {
    const button = careful({ label, question: [question], act: () => run(id), className: "quiet tiny" });
    button.querySelector("button").setAttribute("aria-label", `${label} ${plain(id)}`);
    return button;
  };
  const buttons = [
    act("Redeliver", "Deliver it again?", acts.redeliver),
    act("Drop", `Forget ${eventsIn(events)} for good? ${GONE}`, acts.drop),
  ];
  return {
    row: make(
      "tr",
      "",
      cell("Since", "time", time),
      cell(
        "Letter",
        "letter",
        opening(name, () => acts.look(id)),
      ),
      cell("Events", "number", count(events)),
      cell("Tries", "number", count(tries)),
      cell("Error", "", make("span", "pill", plain(error))),
      cell("", "act", ...buttons),
    ),
    update() {},
  };
}

/** A batch that opens to its events, which are asked for when somebody wants them, and again after a failure. */
function opening(name, look) {
  const text = make("pre", "", "Asking …");
  const details = make("details", "", make("summary", "cut", name), text);
  let isAsked = false;
  details.addEventListener("toggle", async () => {
    if (!details.open || isAsked) return;
    isAsked = true;
    try {
      const all = JSON.stringify((await look()).events, undefined, 2);
      const rest = all.length - WHOLE;
      write(text, plain(all.slice(0, WHOLE), true) + (rest > 0 ? `\n… ${count(rest)} characters more` : ""));
    } catch (error) {
      isAsked = false;
      write(text, plain(error.message));
    }
  });
  return details;
}

function eventsIn(events) {
  return `${count(events)} ${events === 1 ? "event" : "events"}`;
}
