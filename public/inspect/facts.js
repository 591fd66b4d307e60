/** A room in numbers, as its stats tell them. */
import { make, write } from "./element.js";
import { count, momentOf, plain, span, timeOf, until } from "./format.js";
import { writeWhole } from "./rows.js";

export class Facts {
  #part;
  #newest;

  /** @param part finds an element of the room */
  constructor(part) {
    this.#part = part;
  }

  show(stats) {
    this.#newest = stats;
    const { offset, oldest, epoch, members, sessions, connections, heartbeat } = stats;
    this.#write("offset", count(offset), offset > 0 ? `kept from ${count(oldest)}` : "nothing said yet");
    this.#write("connections", count(connections), `of ${count(sessions)} ${sessions === 1 ? "session" : "sessions"}`);
    this.#write("members", count(members));
    writeWhole(this.#part(".f-epoch"), plain(epoch).slice(0, 8), plain(epoch));
    if (heartbeat) this.#write("heartbeat", until(heartbeat.due), `every ${span(heartbeat.interval)}`);
    else this.#write("heartbeat", "–", "nobody to ask");
    this.#outbox(stats.outbox);
    this.#state(stats);
    this.#counts(stats.counts ?? {});
  }

  /** Whether what is on the page is how it was, and nobody knows how it is. */
  mark(isOld) {
    if (this.#newest) this.#state(this.#newest);
    if (!isOld) return;
    const pill = this.#part(".state");
    pill.dataset.state = "unknown";
    // Before the first answer nothing on the page is old: the trouble line says what is wrong.
    write(pill, this.#newest ? "No answer" : "Not known");
  }

  #write(name, value, more = "") {
    write(this.#part(`.f-${name}`), value);
    const small = this.#part(`.f-${name}-more`);
    if (small) write(small, more);
  }

  #outbox(outbox) {
    this.#part(".outbox-fact").hidden = !outbox;
    if (!outbox) return;
    const { pending, dead, tries, nextTry } = outbox;
    const retry = tries > 0 && nextTry !== undefined ? `, try ${tries + 1} ${until(nextTry)}` : "";
    this.#write("outbox", `${count(pending)} pending`, `${count(dead)} dead${retry}`);
    this.#part(".f-outbox-more").classList.toggle("bad", dead > 0);
  }

  #state({ draining, connections }) {
    const pill = this.#part(".state");
    const [state, text] = stateOf(draining, connections);
    pill.dataset.state = state;
    write(pill, text);
    pill.title = draining ? `Draining until ${momentOf(draining.until)}, opens ${momentOf(draining.reopens)}` : "";
  }

  #counts(counts) {
    const list = this.#part(".counts dl");
    const entries = Object.entries(counts).toSorted(([a], [b]) => (a < b ? -1 : 1));
    this.#part(".counts").hidden = entries.length === 0;
    list.replaceChildren(
      ...entries.map(([series, value]) => {
        const [name, ...labels] = series.split("|");
        const said = [name.replaceAll("_", " "), ...labels].filter(Boolean).join(" · ");
        return make("div", "", make("dt", "", plain(said)), make("dd", "", count(value)));
      }),
    );
  }
}

function stateOf(draining, connections) {
  if (draining && draining.until > Date.now()) return ["draining", `Draining until ${timeOf(draining.until)}`];
  if (draining && draining.reopens > Date.now()) return ["draining", `Drained, opens ${timeOf(draining.reopens)}`];
  return connections > 0 ? ["live", "Live"] : ["quiet", "Nobody connected"];
}
