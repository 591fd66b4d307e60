/** Publications per second, drawn. Labels are text of the page, so that they stay readable at any width. */
import { write } from "./element.js";
import { perSecond, timeOf } from "./format.js";
import { WINDOW } from "./rate.js";

/** Of the drawing's own coordinates; the page stretches it. */
const WIDTH = 1_000;
const HEIGHT = 100;
const STEPS = [1, 2, 5, 10];

export class Chart {
  #part;
  #line;
  #area;
  #unknown;
  #title;

  /** @param part finds an element of the room */
  constructor(part) {
    this.#part = part;
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    this.#title = draw("title", { id: "rate-title" });
    svg.setAttribute("aria-labelledby", "rate-title");
    const grid = [0, 0.5, 1].map((share) => draw("path", { class: "grid", d: `M0 ${share * HEIGHT}H${WIDTH}` }));
    this.#area = draw("path", { class: "area" });
    this.#line = draw("path", { class: "curve" });
    this.#unknown = draw("rect", { class: "unknown", x: 0, y: 0, width: WIDTH, height: HEIGHT });
    svg.append(this.#title, this.#unknown, ...grid, this.#area, this.#line);
    part(".plot").append(svg);
  }

  /** @param now the right edge, in ms */
  show(rate, now) {
    const { lines, current, peak, since } = rate;
    const top = niceAbove(peak);
    const x = (at) => (Math.max(0, 1 - (now - at) / WINDOW) * WIDTH).toFixed(1);
    const y = (value) => ((1 - value / top) * HEIGHT).toFixed(1);
    const paths = lines.map((line) => `M${line.map((point) => `${x(point.at)} ${y(point.rate)}`).join("L")}`);
    this.#line.setAttribute("d", paths.join(""));
    this.#area.setAttribute("d", lines.map((line, i) => `${paths[i]}V${HEIGHT}H${x(line[0].at)}Z`).join(""));
    const said = current === undefined ? "–" : perSecond(current);
    write(this.#part(".rate-now"), said);
    write(this.#part(".rate-peak"), current === undefined ? "" : `peak ${perSecond(peak)}`);
    // What was before is not zero, but not known.
    const isShort = since > now - WINDOW;
    write(this.#part(".watched"), `Watched by this page since ${timeOf(since)}`);
    this.#unknown.setAttribute("width", isShort ? x(since) : "0");
    write(this.#part(".y-top"), perSecond(top));
    write(this.#part(".y-mid"), perSecond(top / 2));
    write(
      this.#title,
      current === undefined
        ? "Publications per second, last two minutes: not known yet"
        : `Publications per second, watched since ${timeOf(since)}: ${said} now, ${perSecond(peak)} at most in two minutes`,
    );
  }
}

/** The next of 1, 2, 5, 10, 20 ... that is no less. */
function niceAbove(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return STEPS.find((step) => step * power >= value) * power;
}

function draw(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
