/** One person in the room: the client, and the parts of the page that show it. */
import { connect } from "../edgerooms.js";
import { Chat } from "./chat.js";
import { Chatter } from "./chatter.js";
import { Cursors } from "./cursors.js";
import { write } from "../inspect/element.js";
import { History } from "./history.js";
import { Line } from "./line.js";
import { Panel, spoken } from "./panel.js";
import { People } from "./people.js";
import { colour, shortId } from "./person.js";
import { Proof } from "./proof.js";
import { Tokens } from "./tokens.js";

/** Pointers are shown among this many people at most: each movement goes to everyone. */
const POINTING = 30;

export class Pane {
  root = document.querySelector("#pane").content.firstElementChild.cloneNode(true);
  #room;
  #person;
  #announce;
  #line = new Line();
  #history;
  #tokens;
  #chat;
  #people;
  #cursors;
  #panel;
  #proof = new Proof();
  #chatter;
  #view = { retryAt: 0, isOffline: false, needsToken: false, step: "Starting" };
  #isTyping = false;
  #hasJoined = false;
  #isCatchingUp = false;
  #recovered = 0;

  /**
   * @param person who joins
   * @param name the room's
   * @param announce tells people who do not see the page
   */
  constructor(person, name, announce) {
    this.#person = person;
    this.#announce = announce;
    const part = (selector) => this.root.querySelector(selector);
    this.#tokens = new Tokens(
      person,
      () => this.#room?.state.name === "open",
      (isNeeded) => this.#need(isNeeded),
    );
    this.#view.tokens = this.#tokens;
    this.#history = new History(`edgerooms-demo:said:${name}:${person.id}`);
    this.#people = new People(part(".people"), part(".here"));
    this.#panel = new Panel(part);
    this.#chat = new Chat(part, this.#history, (id) => this.#people.nameOf(id), {
      say: (text) => this.#say(text),
      typing: (isTyping) => this.#type(isTyping),
      again: (entry) => this.#publish(Object.assign(entry, this.#stamp())),
      discard: (entry) => {
        this.#history.drop(entry.id);
        this.#chat.waiting();
        part(".say").elements.text.focus();
      },
    });
    this.#cursors = new Cursors(part(".stage"), part(".cursors"), (place) => {
      // Nobody looks, nobody is told.
      const { state, members } = this.#room;
      if (state.name === "open" && members.length > 1 && members.length <= POINTING)
        this.#room.signal({ cursor: place });
    });
    this.#label(part);
    this.#room = connect(new URL(".", location.href), {
      room: name,
      token: () => this.#token(),
      storage: storageOf(person),
      WebSocket: this.#line.Socket,
    });
    this.#listen();
    this.#switches(part, name);
    this.#chat.restart();
    this.#changed(this.#room.state);
  }

  /** What changes with the clock alone. */
  tick() {
    const part = (selector) => this.root.querySelector(selector);
    this.#panel.show(this.#room, this.#view);
    this.#proof.show(part);
    part(".kill").hidden = this.#tokens.isDevelopment !== true;
    write(part(".empty"), this.#hasJoined ? "Nobody has said anything yet." : `${this.#view.step} …`);
  }

  /** Ready to write. */
  focus() {
    this.root.querySelector(".say input").focus();
  }

  #label(part) {
    const { name, id } = this.#person;
    colour(this.root, id);
    this.root.ariaLabel = name;
    write(part(".name"), name);
    write(part(".who .avatar"), [...name][0] ?? "?");
    const { text } = part(".say").elements;
    text.placeholder = `Say something as ${name}`;
    text.ariaLabel = text.placeholder;
    // Beside the conversation there is room for it; below it would take that of the conversation.
    part(".panel").open = matchMedia("(min-width: 60rem)").matches && !document.querySelector("#main.pair");
  }

  #listen() {
    const room = this.#room;
    room.on("state", (state) => this.#changed(state));
    room.on("publication", (item) => {
      const isLate = this.#isCatchingUp;
      if (!this.#history.add(isLate ? { ...item, recovered: true } : item)) return;
      this.#proof.take(item, isLate && item.by !== this.#tokens.subject);
      if (isLate) this.#recovered++;
      else if (item.by !== this.#tokens.subject)
        this.#announce(`${this.#people.nameOf(item.by ?? "room")}: ${said(item)}`);
      this.#chat.add(this.#history.items.at(-1));
      this.tick();
    });
    room.on("resumed", ({ offset }) => {
      const what = this.#recovered > 0 ? `${this.#recovered} recovered` : "nothing missed";
      this.#joined(`resumed at ${offset}, ${what}`);
    });
    room.on("reset", ({ reason, data, offset }) => {
      const added = this.#history.restart(room.position?.epoch, Array.isArray(data) ? data : []);
      // After a first join they are what was said before, which nobody missed.
      if (this.#hasJoined) for (const item of added) this.#proof.take(item, item.by !== this.#tokens.subject);
      this.#chat.restart();
      this.#joined(reason === "new" ? `new session at ${offset}` : `reset at ${offset}: ${spoken(reason)}`);
    });
    room.on("members", (members) => {
      this.#chat.typists(this.#people.show(members, this.#tokens.subject));
      this.#cursors.keep(new Set(members.map(({ id }) => id)));
    });
    room.on("signal", ({ by, data }) => {
      if (by === null || by === this.#tokens.subject || data?.cursor === undefined) return;
      this.#cursors.show(by, this.#people.nameOf(by), data.cursor);
    });
    room.on("latency", (ms) => this.#panel.latency(ms));
    room.on("goaway", ({ within }) => this.#panel.note(`The room closes in ${within / 1_000} s`, "warn"));
    room.on("error", (error) => this.#panel.note(`${spoken(error.code)}: ${error.message}`, "bad"));
  }

  #joined(text) {
    this.#isCatchingUp = false;
    this.#hasJoined = true;
    this.root.classList.add("joined");
    this.#panel.joined(text);
    this.#panel.note(text, "good");
    this.#announce(`${this.#person.name}: connected, ${text}`);
    this.tick();
  }

  #changed(state) {
    const { root } = this;
    root.dataset.state = state.name;
    if (state.name === "open") {
      this.#isCatchingUp = true;
      this.#recovered = 0;
    }
    if (state.name === "reconnecting" || state.name === "suspended") {
      this.#view.retryAt = Date.now() + state.delay;
      this.#panel.note(`${spoken(state.reason)}; next try in ${(state.delay / 1_000).toFixed(1)} s`, "warn");
      if (state.failures + state.cuts === 1) this.#announce(`${this.#person.name}: connection lost`);
    }
    if (state.name === "closed") this.#panel.note(`Closed: ${spoken(state.reason)}`, "bad");
    const notice = root.querySelector(".notice");
    notice.hidden = state.name !== "closed";
    if (state.name === "closed") write(notice, `Not in the room: ${spoken(state.reason)}. It is not tried again.`);
    const now = root.querySelector(".now");
    now.hidden = state.name === "open" || state.name === "connecting" || this.#view.isOffline;
    write(now, state.name === "closed" ? "Join again" : "Try now");
    root.querySelector(".cut").disabled = state.name !== "open";
    if (state.name === "closed") this.#chatter?.stop();
    if (state.name === "closed" && this.#tokens.isDevelopment === false) this.#need(true);
    this.tick();
  }

  #switches(part, name) {
    part(".now").addEventListener("click", () => {
      this.#room.connect();
      this.focus();
    });
    part(".cut").addEventListener("click", () => this.#line.cut("cut by you"));
    part(".kill").addEventListener("click", () => void this.#kill(name));
    this.#chatter = new Chatter(part(".chatter"), (text) => this.#say(text));
    part(".offline").addEventListener("change", ({ target }) => {
      this.#line.offline = this.#view.isOffline = target.checked;
      this.root.classList.toggle("is-offline", target.checked);
      this.#panel.note(target.checked ? "You went offline" : "You are back online");
      if (target.checked) this.#line.cut("offline");
      else this.#room.connect();
      this.#changed(this.#room.state);
    });
    part(".short").addEventListener("change", ({ target }) => {
      this.#tokens.short = target.checked;
      const { session } = this.#room.position ?? {};
      if (!target.checked || !session) return;
      this.#panel.note("This token runs out in a moment; the next ones are short, and replaced in time");
      this.#tokens.expireSoon(name, session).catch((error) => this.#panel.note(String(error), "bad"));
    });
    part(".paste").addEventListener("submit", (event) => {
      event.preventDefault();
      const { token } = event.target.elements;
      this.#tokens.paste(token.value.trim());
      token.value = "";
      this.#room.connect();
    });
  }

  #need(isNeeded) {
    this.#view.needsToken = isNeeded;
    this.root.querySelector(".paste").hidden = !isNeeded;
    this.root.querySelector(".short-label").hidden = this.#tokens.isDevelopment === false;
    this.tick();
  }

  async #token() {
    this.#view.step = "Getting a token";
    const token = await this.#tokens.next(this.#line.offline);
    this.#view.step = "Joining the room";
    return token;
  }

  /** Ends the Durable Object as a crash does: only the Worker of this repository has that, and only in development. */
  async #kill(name) {
    const killed = await fetch(`dev/kill/${encodeURIComponent(name)}`, { method: "POST" }).catch(() => undefined);
    this.#panel.note(killed?.ok ? "You killed the room" : "The room could not be killed", killed?.ok ? "" : "bad");
  }

  #stamp() {
    return this.#proof.stamp(this.#room.state.name === "open");
  }

  #say(text) {
    this.#publish(this.#history.say(shortId(8), text, this.#stamp()));
  }

  #publish(entry) {
    delete entry.failed;
    const { id, text, run, n } = entry;
    this.#room.publish({ id, text, run, n }).then(
      () => this.#proof.sent++,
      (error) => {
        entry.failed = error.message || spoken(error.code);
        this.#proof.refused();
        this.#history.save();
        this.#chat.waiting();
      },
    );
    this.#history.save();
    this.#chat.waiting();
    this.tick();
  }

  #type(isTyping) {
    if (isTyping === this.#isTyping) return;
    this.#isTyping = isTyping;
    this.#room.setPresence({ typing: isTyping });
  }
}

/** Two people in one page share its sessionStorage, and need a session each. */
function storageOf({ id }) {
  const keyed = (key) => `${id} ${key}`;
  return {
    get: (key) => sessionStorage.getItem(keyed(key)),
    set: (key, value) => sessionStorage.setItem(keyed(key), value),
    delete: (key) => sessionStorage.removeItem(keyed(key)),
  };
}

function said({ data }) {
  return typeof data === "string" ? data : (data?.text ?? "something");
}
