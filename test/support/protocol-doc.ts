/**
 * docs/reference/protocol.md as data: its sections, tables, fields and examples. Knows what a document of this kind looks like, and
 * nothing of what it must say.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";

/** Whether a field is always there. */
export type Sent = "always" | "optional";

/** The document. */
export const doc = readFileSync(join(import.meta.dirname, "../../docs/reference/protocol.md"), "utf8");

/** The part under a heading, up to the next one of its level. */
export function section(heading: string, within = doc): string {
  const level = heading.slice(0, heading.indexOf(" ") + 1);
  const parts = within.split(new RegExp(`^(?=${level})`, "m"));
  const found = parts.filter((part) => part.startsWith(`${heading}\n`));
  expect(found, `exactly one "${heading}"`).toHaveLength(1);
  return String(found[0]);
}

/** The names of the third-level headings in a part. */
export const headings = (text: string) => [...text.matchAll(/^### (.+)$/gm)].map((match) => String(match[1]));

/** The rows of the one table whose first column is headed so; backticks are not part of a cell. */
export function table(text: string, first: string): string[][] {
  const tables = text.split(/\n(?!\|)/).map((block) => block.split("\n").filter((line) => line.startsWith("|")));
  const found = tables.filter(([head]) => head !== undefined && cells(head)[0] === first);
  expect(found, `exactly one table of "${first}"`).toHaveLength(1);
  return (found[0] ?? []).slice(2).map(cells);
}

function cells(row: string): string[] {
  return row
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim().replace(/^`(.*)`$/, "$1"));
}

/** The table of a frame or an object: by field its type and whether it is always there. */
export function fields(text: string): Map<string, { readonly type: string; readonly sent: Sent }> {
  if (text.includes("no fields")) return new Map();
  return new Map(
    table(text, "Field").map(([name = "", type = "", sent = "", unit = "", meaning = ""]) => {
      expect(["always", "optional"], `${name} is sent`).toContain(sent);
      expect(unit, `${name} has a unit`).not.toBe("");
      expect(meaning, `${name} has a meaning`).not.toBe("");
      return [name, { type, sent: sent as Sent }];
    }),
  );
}

/** The JSON examples of a part, as they are written. */
export function examples(text: string): string[] {
  return [...text.matchAll(/^```json\n(.*?)^```$/gms)].map((match) => String(match[1]));
}

/** What of a field's table has to match the code. */
export function shape(documented: ReturnType<typeof fields>): Record<string, Sent> {
  return Object.fromEntries([...documented].map(([name, { sent }]) => [name, sent]));
}
