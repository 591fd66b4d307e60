/**
 * Where results, notices and errors go: stdout for the result, stderr for the rest. The only file that knows the
 * streams and the terminal's size.
 */
import { once } from "node:events";
import { table, type Cell, type Column } from "./table.ts";
import { json } from "./text.ts";

/** Cells in a line of the terminal; Infinity where nothing is to be cut, as in a file or a pipe. COLUMNS overrides. */
export function columns(): number {
  const wanted = Number(process.env["COLUMNS"]);
  return wanted >= 1 ? wanted : (process.stdout.columns ?? Infinity);
}

/** Prints lines of the result, and waits for a slow reader. The caller has made foreign text {@link visible}. */
export async function print(text: string): Promise<void> {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, "drain");
}

/** Prints a result as JSON. */
export async function printJson(value: unknown): Promise<void> {
  await print(json(value, 2));
}

/** Prints a result as a table that fits. */
export async function printTable(heads: readonly Column[], rows: readonly (readonly Cell[])[]): Promise<void> {
  await print(table(heads, rows, columns()));
}

/** Prints something that is not the result. */
export function notice(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Shows progress: a bar that moves on a terminal, else one line when it is complete. */
export function progress(done: number, all: number, what: string): void {
  const width = 30;
  const filled = all === 0 ? width : Math.round((done / all) * width);
  const line = `[${"#".repeat(filled)}${".".repeat(width - filled)}] ${done}/${all} ${what}`;
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}${done === all ? "\n" : ""}`);
  else if (done === all) notice(line);
}

/** A reader that stops reading (`| head`) is no failure: the command ends with what it has done. */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
}
