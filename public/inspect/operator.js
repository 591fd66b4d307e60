/** What an operator can do to a room, and the buttons for it. Says what came of it, or why not. Knows no list. */
import { make } from "./element.js";
import { nameOf, pathOf } from "./address.js";
import { careful } from "./confirm.js";
import { count, plain, timeOf } from "./format.js";

/** Seconds that a drain takes unless told otherwise, and at most, as the API has it. */
const DRAIN = 30;
const LONGEST_DRAIN = 3_600;
/** UTF-16 units of a user id, at most. */
const LONGEST_USER = 255;

export class Operator {
  #api;
  #trouble;
  #tell;

  /** @param tell says what came of an action */
  constructor(api, trouble, tell) {
    this.#api = api;
    this.#trouble = trouble;
    this.#tell = tell;
  }

  /**
   * A button that ends a user's sessions: one, all in this room, or all and the tokens of before.
   *
   * @param address of the room
   * @param user `{user, session}`; without a session, all of the user's; without a user, somebody writes one
   * @param onDone told afterwards
   */
  ending(address, { user, session }, onDone) {
    const choice = make(
      "select",
      "",
      ...(session === undefined ? [] : [option("session", "this session")]),
      option("kick", "all of the user here"),
      option("revoke", "all, and refuse older tokens"),
    );
    choice.ariaLabel = "What to end";
    const name = make("input", "");
    Object.assign(name, {
      type: "text",
      required: true,
      maxLength: LONGEST_USER,
      autocomplete: "off",
      placeholder: "id",
    });
    name.ariaLabel = "Id of the user";
    const whom = () => user ?? name.value;
    const button = careful({
      label: user === undefined ? "Kick a user" : "Kick",
      question: user === undefined ? ["User ", name, " ", choice] : ["End ", choice],
      className: user === undefined ? "quiet" : "quiet tiny",
      verb: () => (choice.value === "revoke" ? "Revoke" : "Kick"),
      act: () => this.#end(address, choice.value, { user: whom(), session }).then(onDone),
    });
    if (user !== undefined) button.querySelector("button").setAttribute("aria-label", kickName(user, session));
    return button;
  }

  draining(address, onDone) {
    const seconds = make("input", "");
    Object.assign(seconds, { type: "number", min: 0, max: LONGEST_DRAIN, step: 1, value: DRAIN, required: true });
    seconds.setAttribute("aria-label", "Seconds until everyone is closed");
    const said = ({ until, connections }) =>
      `Draining ${nameOf(address)}: told ${count(connections)} ${connections === 1 ? "connection" : "connections"}, closing at ${timeOf(until)}.`;
    return careful({
      label: "Drain",
      question: ["Send everyone away within ", seconds, " s?"],
      act: () => this.#act(address, ["Drain", "drain"], { within: seconds.valueAsNumber * 1_000 }, said).then(onDone),
    });
  }

  /** Tries a dead letter again; without its id, all of the room. */
  redeliver(address, batch) {
    const said = ({ redelivered }) => `${letters(redelivered)} of ${nameOf(address)} on the way again.`;
    return this.#act(address, ["Redeliver", "redeliver"], bodyOf(batch), said);
  }

  /** Sets the batch that holds up the others aside. */
  skip(address, batch) {
    const said = ({ pending, dead }) =>
      `Skipped a batch of ${nameOf(address)}: ${count(pending)} pending, ${letters(dead)} now.`;
    return this.#act(address, ["Skip", "skip"], { batch }, said);
  }

  /** Forgets a dead letter for good; without its id, all of the room. */
  drop(address, batch) {
    const said = ({ dropped, dead }) =>
      `Dropped ${letters(dropped)} of ${nameOf(address)} for good: ${count(dead)} left.`;
    return this.#act(address, ["Drop", "drop"], bodyOf(batch) ?? { all: true }, said);
  }

  /** Nobody looks at what failed any more. */
  forget() {
    for (const name of ["Kick", "Revoke", "Drain", "Redeliver", "Skip", "Drop"]) this.#trouble.clear(name);
  }

  #end(address, what, { user, session }) {
    const where = `${plain(user)} in ${nameOf(address)}`;
    const over = ({ sessions }) => `${count(sessions)} ${sessions === 1 ? "session is" : "sessions are"} over`;
    if (what === "revoke") {
      const said = (ended) => `Revoked ${where}: ${over(ended)}, and tokens from before now are refused there.`;
      return this.#act(address, ["Revoke", "revoke"], { user }, said);
    }
    if (what === "kick")
      return this.#act(address, ["Kick", "kick"], { user }, (ended) => `Kicked ${where}: ${over(ended)}.`);
    return this.#act(
      address,
      ["Kick", "kick"],
      { session },
      () => `Kicked ${plain(user)}: session ${session.slice(0, 8)} is over.`,
    );
  }

  /** Does it and says so, or says why not. Never throws. */
  async #act(address, [name, path], body, said) {
    try {
      const answer = await this.#api.post(`${pathOf(address)}/${path}`, body);
      this.#trouble.clear(name);
      this.#tell(said(answer));
    } catch (error) {
      this.#trouble.report(name, error);
    }
  }
}

function option(value, text) {
  const made = make("option", "", text);
  made.value = value;
  return made;
}

function bodyOf(batch) {
  return batch === undefined ? undefined : { batch };
}

function letters(n) {
  return `${count(n)} dead ${n === 1 ? "letter" : "letters"}`;
}

function kickName(user, session) {
  return session === undefined ? `Kick ${plain(user)}` : `Kick ${plain(user)}, session ${session.slice(0, 8)}`;
}
