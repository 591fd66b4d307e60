/** A progress bar: one line that changes on a terminal, a line every 15 s elsewhere. */

const WIDTH = 24;
const EVERY = 15_000;

/** Shows how far a run is. */
export class Progress {
  readonly #total: number;
  readonly #started = performance.now();
  #done = 0;
  #last = -Infinity;

  constructor(total: number) {
    this.#total = total;
  }

  /** The next step begins. */
  begin(what: string): void {
    const now = performance.now();
    if (!process.stderr.isTTY && now - this.#last < EVERY) return;
    this.#last = now;
    const filled = Math.floor((this.#done / this.#total) * WIDTH);
    const seconds = (now - this.#started) / 1_000;
    const left = this.#done > 0 ? (seconds / this.#done) * (this.#total - this.#done) : NaN;
    const eta = Number.isNaN(left) ? "" : `, about ${clock(left)} left`;
    const line = `[${"#".repeat(filled)}${".".repeat(WIDTH - filled)}] ${this.#done}/${this.#total} ${what}, ${clock(seconds)}${eta}`;
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[2K${line}` : `${line}\n`);
  }

  /** Steps are done. */
  step(count = 1): void {
    this.#done += count;
  }

  /** Prints text that stays. */
  print(text: string): void {
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[2K");
    console.log(text);
  }
}

function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}
