/** How moments, amounts and strangers' text are written. Knows nothing of what they belong to. */

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const number = new Intl.NumberFormat();
const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
];
/** What would be invisible, or would turn the text around it, on a line of somebody who looks for what went wrong. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

export const count = (value) => number.format(value);
/** The time of day; a whole moment is for titles. */
export const timeOf = (ms) => clock.format(ms);
export const momentOf = (ms) => whole.format(ms);

/** A span of ms as its one or two largest units: `42 s`, `3 min`, `2 h 5 min`. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const at = UNITS.findIndex(([, size]) => seconds >= 2 * size);
  if (at < 0) return `${seconds} s`;
  const [unit, size] = UNITS[at];
  const [smaller, part] = UNITS[at + 1] ?? [];
  const rest = part ? Math.floor((seconds % size) / part) : 0;
  return `${Math.floor(seconds / size)} ${unit}${rest > 0 ? ` ${rest} ${smaller}` : ""}`;
}

/** How long ago; clocks differ, so never in the future. */
export function ago(ms) {
  const passed = Date.now() - ms;
  return passed < 1_500 ? "now" : `${span(passed)} ago`;
}

/** How long until; "now" when it is due. */
export function until(ms) {
  const left = ms - Date.now();
  return left < 500 ? "now" : `in ${span(left)}`;
}

export function bytes(value) {
  if (value < 1_024) return `${value} B`;
  return value < 1_048_576 ? `${(value / 1_024).toFixed(1)} KiB` : `${(value / 1_048_576).toFixed(1)} MiB`;
}

/** Publications per second. */
export function perSecond(rate) {
  return `${rate >= 100 ? count(Math.round(rate)) : Number(rate.toFixed(1))}/s`;
}

/** Text of a stranger with everything in it to be seen; line breaks stay where asked for. */
export function plain(text, keepLines = false) {
  return String(text).replaceAll(INVISIBLE, (found) =>
    keepLines && found === "\n" ? found : [...Array(found.length).keys()].map((at) => escaped(found, at)).join(""),
  );
}

function escaped(text, at) {
  return `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`;
}
