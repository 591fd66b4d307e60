/** One room, looked at every two seconds: asks for its parts at once, and hands each to what shows it. */
import { nameOf, pathOf } from "./address.js";
import { Chart } from "./chart.js";
import { DeadLetters } from "./dead.js";
import { Facts } from "./facts.js";
import { Freshness } from "./freshness.js";
import { LogTail } from "./log.js";
import { Members } from "./members.js";
import { Poll } from "./poll.js";
import { Rate } from "./rate.js";
import { Relays } from "./relays.js";
import { Sessions } from "./sessions.js";

const EVERY = 2_000;

export class RoomView {
  root = document.querySelector("#room").content.firstElementChild.cloneNode(true);
  #api;
  #path;
  #operator;
  #poll;
  #fresh;
  #rate = new Rate();
  #parts;
  #isHeldUp = false;

  /**
   * @param address of the room
   * @param operator makes the buttons
   */
  constructor(address, { api, trouble, operator }) {
    this.#api = api;
    this.#path = pathOf(address);
    this.#operator = operator;
    const part = (selector) => this.root.querySelector(selector);
    part(".kind").textContent = `${address.kind}/`;
    part(".name").textContent = address.room;
    this.#poll = new Poll(nameOf(address), EVERY, (signal) => this.#look(signal), trouble);
    this.#fresh = new Freshness(this.root, part(".age"), this.#poll, EVERY);
    this.#poll.onSettled = () => this.tick();
    const look = () => this.#poll.now();
    part(".actions").append(operator.ending(address, {}, look), operator.draining(address, look));
    this.#parts = {
      facts: new Facts(part),
      chart: new Chart(part),
      relays: new Relays(part),
      members: new Members(part, look),
      sessions: new Sessions(part, (whom) => operator.ending(address, whom, look), look),
      log: new LogTail(part, look),
      dead: new DeadLetters(part, {
        redeliver: (batch) => operator.redeliver(address, batch).then(look),
        skip: (batch) => operator.skip(address, batch).then(look),
        drop: (batch) => operator.drop(address, batch).then(look),
        look: (batch) => api.get(`${this.#path}/dead-letter?batch=${encodeURIComponent(batch)}`),
      }),
    };
    part(".within").addEventListener("input", ({ target }) => this.#search(target.value));
  }

  start() {
    this.#poll.start();
  }

  stop() {
    this.#poll.stop();
    this.#operator.forget();
  }

  /** What changes with the clock alone. */
  tick() {
    this.#fresh.tick();
    this.#parts.facts.mark(this.#fresh.isStale || this.#poll.isFailing);
  }

  /** Only what belongs to this user. */
  search(user) {
    this.root.querySelector(".within").value = user;
    this.#search(user);
  }

  #search(text) {
    const wanted = text.trim().toLowerCase();
    this.#parts.members.search(wanted);
    this.#parts.sessions.search(wanted);
  }

  /** Everything at once; what fails does not keep the rest from being shown. */
  async #look(signal) {
    const { facts, chart, relays, members, sessions, log, dead } = this.#parts;
    const show = async (path, use) => {
      const answer = await this.#api.get(`${this.#path}/${path}`, signal);
      if (!signal.aborted) use(answer);
    };
    const tail = log.query;
    const results = await Promise.allSettled([
      show("stats", (stats) => {
        const now = Date.now();
        facts.show(stats);
        relays.show(stats);
        members.count(stats.members);
        sessions.count(stats.sessions);
        this.#rate.add(now, stats.offset);
        chart.show(this.#rate, now);
        log.reached(stats.offset);
        this.#isHeldUp = stats.outbox?.dead > 0 || stats.outbox?.tries > 0;
      }),
      show(`sessions${sessions.query}`, (answer) => sessions.show(answer)),
      show(`members${members.query}`, (answer) => members.show(answer)),
      ...(tail === undefined ? [] : [show(`log${tail}`, (answer) => log.show(answer))]),
    ]);
    this.root.removeAttribute("aria-busy");
    if (this.#isHeldUp) await show("dead-letters", (answer) => dead.show(answer));
    else dead.show({ dead: [] });
    const failed = results.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }
}
