/** Where the others point: sent as signals, which nobody stores, and drawn over the conversation. */
import { make, write } from "../inspect/element.js";
import { colour } from "./person.js";

/** At most one signal in this many ms. */
const EVERY = 60;
/** A pointer that rests this long fades, in ms. */
const FADE = 2_500;

export class Cursors {
  #layer;
  #cursors = new Map();

  /**
   * @param stage what is pointed at
   * @param layer where the others' pointers are drawn: the same area
   * @param send told the place as `{x, y}`, from 0 to 1, not too often; nothing when the pointer has left
   */
  constructor(stage, layer, send) {
    this.#layer = layer;
    let last = 0;
    let timer;
    const tell = (place) => {
      clearTimeout(timer);
      // The last place of a movement is sent too, only later.
      timer = setTimeout(
        () => {
          last = performance.now();
          send(place);
        },
        Math.max(0, last + EVERY - performance.now()),
      );
    };
    stage.addEventListener("pointermove", ({ clientX, clientY }) => {
      const { left, top, width, height } = stage.getBoundingClientRect();
      tell({ x: round((clientX - left) / width), y: round((clientY - top) / height) });
    });
    stage.addEventListener("pointerleave", () => tell(null));
  }

  /** Somebody points somewhere, or no longer. */
  show(id, name, place) {
    const x = Number(place?.x);
    const y = Number(place?.y);
    if (!(x >= 0 && x <= 1 && y >= 0 && y <= 1)) {
      this.#cursors.get(id)?.element.classList.remove("shown");
      return;
    }
    const cursor = this.#cursors.get(id) ?? this.#add(id);
    write(cursor.label, name);
    cursor.element.style.left = `${x * 100}%`;
    cursor.element.style.top = `${y * 100}%`;
    cursor.element.classList.toggle("flip", x > 0.8);
    cursor.element.classList.add("shown");
    clearTimeout(cursor.timer);
    cursor.timer = setTimeout(() => cursor.element.classList.remove("shown"), FADE);
  }

  /** Only who is here has a pointer. */
  keep(ids) {
    for (const [id, { element, timer }] of this.#cursors) {
      if (ids.has(id)) continue;
      clearTimeout(timer);
      element.remove();
      this.#cursors.delete(id);
    }
  }

  #add(id) {
    const label = make("span", "label");
    const element = colour(make("div", "cursor", make("span", "arrow"), label), id);
    const cursor = { element, label, timer: undefined };
    this.#cursors.set(id, cursor);
    this.#layer.append(element);
    return cursor;
  }
}

function round(part) {
  return Math.round(Math.min(1, Math.max(0, part)) * 1_000) / 1_000;
}
