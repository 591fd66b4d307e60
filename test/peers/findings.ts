/** What was measured, held against its bound, and the Markdown that tells it. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { format } from "prettier";

const BEGIN = "<!-- peers:begin -->";
const END = "<!-- peers:end -->";

/** One line of the table of peers: times in ms since the peer fell silent. */
export interface Timing {
  readonly what: string;
  readonly times: readonly number[];
  readonly bound: number;
  /** How the bound comes about. */
  readonly why: string;
}

/** Everything a run found out. */
export class Findings {
  readonly #timings: Timing[] = [];
  readonly #facts: string[] = [];
  readonly #broken: string[] = [];
  readonly #tables: string[] = [];

  /** What did not hold. */
  get broken(): readonly string[] {
    return this.#broken;
  }

  time(timing: Timing): void {
    this.#timings.push(timing);
    const slowest = Math.max(...timing.times);
    this.check(
      timing.times.length > 0 && slowest <= timing.bound,
      `${timing.what}: ${slowest} ms > ${timing.bound} ms`,
    );
    console.log(row(timing));
  }

  /** Something that must be so, and is told when it is. */
  fact(holds: boolean, text: string): void {
    this.check(holds, text);
    this.#facts.push(`- ${holds ? "" : "**Broken:** "}${text}`);
    console.log(this.#facts.at(-1));
  }

  check(holds: boolean, text: string): void {
    if (holds) return;
    this.#broken.push(text);
    console.error(`BROKEN: ${text}`);
  }

  table(markdown: string): void {
    this.#tables.push(markdown);
    console.log(markdown);
  }

  markdown(command: string): string {
    const { model = "?" } = cpus()[0] ?? {};
    const memory = Math.round(totalmem() / 2 ** 30);
    const date = new Date().toISOString().slice(0, 16).replace("T", " ");
    return [
      `\`${command}\`, ${date} UTC, commit ${commit()}, ${cpus().length} cores of ${model.trim()}, ${memory} GiB, ` +
        `Linux, workerd ${version()}, Node.js ${process.versions.node}.`,
      [
        "| Peers that vanish | n | min ms | median ms | max ms | bound ms | The bound |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
        ...this.#timings.map(row),
      ].join("\n"),
      ...this.#tables,
      this.#facts.join("\n"),
      this.#broken.length === 0 ? "Every bound held." : `**${this.#broken.length} did not hold.**`,
    ].join("\n\n");
  }
}

/** Replaces what stands between the marks; a file without them gets them at its end. */
export async function writeReport(path: string, markdown: string): Promise<void> {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const pretty = await format(markdown, { parser: "markdown", printWidth: 120 });
  const section = `${BEGIN}\n\n${pretty}\n${END}`;
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  const next =
    begin >= 0 && end > begin
      ? text.slice(0, begin) + section + text.slice(end + END.length)
      : `${text.trimEnd()}\n\n${section}\n`.trimStart();
  writeFileSync(path, next);
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function row({ what, times, bound, why }: Timing): string {
  const numbers = [times.length, Math.min(...times), median(times), Math.max(...times), bound].map(Math.round);
  return `| ${what} | ${numbers.map((n) => n.toLocaleString("en")).join(" | ")} | ${why} |`;
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
    // What is measured is src/: only a change there makes the commit's name a half-truth.
    return (
      git("rev-parse", "--short", "HEAD") + (git("status", "--short", "src") === "" ? "" : " with changes in src/")
    );
  } catch {
    return "unknown";
  }
}

function version(): string {
  const path = join(import.meta.dirname, "../../node_modules/workerd/package.json");
  const { version: found } = JSON.parse(readFileSync(path, "utf8")) as { version: string };
  return found;
}
