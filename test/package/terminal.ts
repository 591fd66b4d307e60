/** A program in a terminal of its own, as a reader of the documents has it: typed into, read line by line, stopped with Ctrl+C. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { dirname } from "node:path";
import { Changes, patience } from "../support/patience.ts";

/** The environment of a reader: this Node.js first, and nothing that asks the network for more than the program does. */
export const environment = {
  ...process.env,
  PATH: `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
  // Vitest in a project is not the vitest that runs this.
  VITEST: undefined,
  NODE_ENV: undefined,
  CI: "1",
  NO_COLOR: "1",
  CLOUDFLARE_CF_FETCH_ENABLED: "false",
  WRANGLER_SEND_METRICS: "false",
};

export class Terminal {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #changes = new Changes();
  readonly #ended: Promise<number | null>;
  readonly #command: string;
  /** All that it has printed. */
  output = "";

  /** @param command as a shell takes it */
  constructor(folder: string, command: string) {
    this.#command = command;
    this.#child = spawn("bash", ["-c", `exec ${command}`], { cwd: folder, env: environment, detached: true });
    const hear = (chunk: Buffer) => {
      this.output += String(chunk);
      this.#changes.notify();
    };
    this.#child.stdout.on("data", hear);
    this.#child.stderr.on("data", hear);
    this.#ended = new Promise((resolve) => this.#child.on("close", resolve));
  }

  /** The lines of it so far. */
  get lines(): string[] {
    return this.output.split("\n");
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Waits until its output has this. */
  async says(what: RegExp, aloneMs = 15_000): Promise<RegExpExecArray> {
    const has = () => what.test(this.output);
    await this.#changes.until(has, () => `${String(what)} from ${this.#command}, which said:\n${this.output}`, aloneMs);
    const found = what.exec(this.output);
    if (!found) throw new Error("unreachable");
    return found;
  }

  /** Ctrl+C, and the end of everything it started if it does not obey. */
  async stop(): Promise<void> {
    this.#signal("SIGINT");
    const timer = setTimeout(() => this.#signal("SIGKILL"), patience());
    await this.#ended;
    clearTimeout(timer);
    this.#signal("SIGKILL");
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      // Nobody of it is left.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
