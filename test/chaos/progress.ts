/** What a person sees while chaos runs: a bar on a terminal, a line every few seconds elsewhere. */
import { stdout } from "node:process";
import type { Status } from "./orders.ts";

const BAR = 30;
const LINE_EVERY = 10_000;

/** What there is to tell. */
interface Seen {
  readonly statuses: readonly Status[];
  readonly faults: number;
}

/** One run's progress. */
export class Progress {
  readonly #ms: number;
  readonly #look: () => Seen;
  readonly #start = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  #phase = "starting";

  /** @param ms how long the chaos is going to last */
  constructor(ms: number, look: () => Seen) {
    this.#ms = ms;
    this.#look = look;
    this.#timer = setInterval(() => this.#show(), stdout.isTTY ? 250 : LINE_EVERY);
  }

  phase(name: string): void {
    this.#phase = name;
    this.#show();
  }

  end(): void {
    clearInterval(this.#timer);
    if (stdout.isTTY) stdout.write("\n");
  }

  #show(): void {
    const { statuses, faults } = this.#look();
    const passed = performance.now() - this.#start;
    const full = Math.min(BAR, Math.round((passed / this.#ms) * BAR));
    const sum = (of: (status: Status) => number) => statuses.reduce((total, status) => total + of(status), 0);
    const open = statuses.filter((status) => status.open).length;
    const text =
      `[${"#".repeat(full)}${"-".repeat(BAR - full)}] ${Math.round(passed / 1_000)} s, ${this.#phase}: ` +
      `${faults} faults, ${open}/${statuses.length} connected, ` +
      `${sum(({ said }) => said)} published, ${sum(({ heard }) => heard)} delivered`;
    stdout.write(stdout.isTTY ? `\r${text}\u001b[K` : `${text}\n`);
  }
}
