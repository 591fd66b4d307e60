/**
 * Tables on a terminal: headed, aligned by what characters really take, as wide as the terminal and no wider. Knows
 * nothing of what is in them.
 */
import { visible } from "./text.ts";

/** A column: what stands over it; where it is more than text that can be cut, see {@link number} and {@link whole}. */
export type Column = string | { readonly head: string; readonly right: boolean };

/** A column of numbers: on the right, and never cut. */
export function number(head: string): Column {
  return { head, right: true };
}

/** A column of text that is worth nothing when it is cut. */
export function whole(head: string): Column {
  return { head, right: false };
}

/** What a cell holds; `undefined` is shown as "-". */
export type Cell = string | number | undefined;

const GAP = 2;
/** What a column of text keeps when a table is too wide. */
const LEAST = 6;

/**
 * A table, without a newline after its last line. Text that does not fit is cut where it is widest.
 *
 * @param width of the terminal; Infinity where nothing is to be cut
 */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], width: number): string {
  const heads = columns.map((column) => (typeof column === "string" ? column : column.head));
  const kept = columns.map((column) => typeof column !== "string");
  const right = columns.map((column) => typeof column !== "string" && column.right);
  const lines = [heads, ...rows.map((row) => columns.map((_, i) => visible(String(row[i] ?? "-"))))];
  const widths = columns.map((_, i) => lines.reduce((most, line) => Math.max(most, widthOf(line[i] ?? "")), 0));
  shrink(widths, kept, width - GAP * (columns.length - 1));
  return lines
    .map((line) =>
      line
        .map((text, i) => {
          const cut = fit(text, widths[i] ?? 0);
          const space = " ".repeat(Math.max(0, (widths[i] ?? 0) - widthOf(cut)));
          return right[i] ? space + cut : cut + space;
        })
        .join(" ".repeat(GAP))
        .trimEnd(),
    )
    .join("\n");
}

/** Takes from the widest column of text until all fit, or none can give any more. */
function shrink(widths: number[], kept: readonly boolean[], room: number): void {
  for (let excess = widths.reduce((sum, n) => sum + n, 0) - room; excess > 0;) {
    const text = widths.map((n, i) => (kept[i] ? 0 : n));
    const [widest = 0, second = 0] = text.toSorted((a, b) => b - a);
    if (widest <= LEAST) return;
    const less = Math.min(excess, Math.max(1, widest - Math.max(second, LEAST)));
    widths[text.indexOf(widest)] = widest - less;
    excess -= less;
  }
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
/** What terminals give two cells to, closely enough. */
const WIDE =
  /\p{Emoji_Presentation}|\ufe0f|[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff01-\uff60\uffe0-\uffe6]/u;
const PLAIN = /^[\x20-\x7e]*$/;

/** How many cells of a terminal a text without controls takes. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** A text without controls, cut to a width; the last cell then is an ellipsis. */
export function fit(text: string, width: number): string {
  if (width === Infinity || (text.length <= width && PLAIN.test(text))) return text;
  // What is far too long need not be measured to its end, and marks without end on one letter are no text.
  const head = text.slice(0, width * 16);
  let kept = "";
  let used = 0;
  for (const { segment } of graphemes.segment(head)) {
    used += WIDE.test(segment) ? 2 : 1;
    if (used > width) return `${kept}…`;
    if (used < width) kept += segment;
  }
  return head === text ? text : `${kept}…`;
}
