/** One room, looked at every two seconds: asks for its parts at once, hands each to what shows it, and acts on it. */
import { make } from "../demo/element.js";
import { nameOf, pathOf } from "./address.js";
import { Chart } from "./chart.js";
import { careful } from "./confirm.js";
import { DeadLetters } from "./dead.js";
import { Facts } from "./facts.js";
import { count, timeOf } from "./format.js";
import { LogTail } from "./log.js";
import { Members } from "./members.js";
import { Poll } from "./poll.js";
import { Rate } from "./rate.js";
import { Sessions } from "./sessions.js";

const EVERY = 2_000;
/** Seconds that a drain takes unless told otherwise, and at most, as the API has it. */
const DRAIN = 30;
const LONGEST_DRAIN = 3_600;

export class RoomView {
  root = document.querySelector("#room").content.firstElementChild.cloneNode(true);
  #api;
  #path;
  #name;
  #trouble;
  #tell;
  #poll;
  #rate = new Rate();
  #parts;
  #hasDead = false;

  /**
   * @param address of the room
   * @param tell says what came of an action
   */
  constructor(address, api, trouble, tell) {
    this.#api = api;
    this.#path = pathOf(address);
    this.#name = nameOf(address);
    this.#trouble = trouble;
    this.#tell = tell;
    const part = (selector) => this.root.querySelector(selector);
    part(".kind").textContent = `${address.kind}/`;
    part(".name").textContent = address.room;
    part(".actions").append(this.#drain());
    this.#poll = new Poll(this.#name, EVERY, (signal) => this.#look(signal), trouble);
    this.#parts = {
      facts: new Facts(part),
      chart: new Chart(part),
      members: new Members(part),
      sessions: new Sessions(part, (session, user) => this.#kick(session, user)),
      log: new LogTail(part, () => this.#poll.now()),
      dead: new DeadLetters(part, () => this.#redeliver()),
    };
  }

  start() {
    this.#poll.start();
  }

  stop() {
    this.#poll.stop();
    for (const name of ["Kick", "Drain", "Redeliver"]) this.#trouble.clear(name);
  }

  /** Everything at once; what fails does not keep the rest from being shown. */
  async #look(signal) {
    const { facts, chart, members, sessions, log, dead } = this.#parts;
    const show = async (path, use) => {
      const answer = await this.#api.get(`${this.#path}/${path}`, signal);
      if (!signal.aborted) use(answer);
    };
    const tail = log.query;
    const results = await Promise.allSettled([
      show("stats", (stats) => {
        const now = Date.now();
        facts.show(stats);
        this.#rate.add(now, stats.offset);
        chart.show(this.#rate, now);
        log.reached(stats.offset);
        this.#hasDead = stats.outbox?.dead > 0;
      }),
      show("sessions", (answer) => sessions.show(answer.sessions)),
      show("members", (answer) => members.show(answer.members)),
      ...(tail === undefined ? [] : [show(`log${tail}`, (answer) => log.show(answer))]),
    ]);
    this.root.removeAttribute("aria-busy");
    this.root.classList.toggle("stale", results[0].status === "rejected");
    if (this.#hasDead) await show("dead-letters", (answer) => dead.show(answer.dead));
    else dead.show([]);
    const failed = results.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  #drain() {
    const seconds = make("input", "");
    Object.assign(seconds, { type: "number", min: 0, max: LONGEST_DRAIN, step: 1, value: DRAIN, required: true });
    seconds.setAttribute("aria-label", "Seconds until everyone is closed");
    return careful({
      label: "Drain",
      question: ["Send everyone away within ", seconds, " s?"],
      act: () =>
        this.#act("Drain", "drain", { within: seconds.valueAsNumber * 1_000 }, ({ until, connections }) => {
          const whom = connections === 1 ? "connection" : "connections";
          return `Draining ${this.#name}: told ${count(connections)} ${whom}, closing at ${timeOf(until)}.`;
        }),
    });
  }

  #kick(session, user) {
    return this.#act("Kick", "kick", { session }, () => `Kicked ${user}: session ${session.slice(0, 8)} is over.`);
  }

  #redeliver() {
    return this.#act(
      "Redeliver",
      "redeliver",
      undefined,
      ({ pending }) => `${count(pending)} events on their way again.`,
    );
  }

  /** Does it and says so, or says why not. Never throws. */
  async #act(name, path, body, said) {
    try {
      const answer = await this.#api.post(`${this.#path}/${path}`, body);
      this.#trouble.clear(name);
      this.#tell(said(answer));
    } catch (error) {
      this.#trouble.report(name, error);
    }
    this.#poll.now();
  }
}
