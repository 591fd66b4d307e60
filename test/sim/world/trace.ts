/** What happened in a simulation, as one number that two runs of the same seed must share, and as text on request. */

/** Units of a text that count one by one; of the rest every 61st does. */
const WHOLE = 600;

/** A running hash of text (FNV-1a over UTF-16 units, 2 x 32 bits). */
export class Trace {
  #a = 0x811c9dc5;
  #b = 0x9e3779b9;
  readonly #tell: ((line: string) => void) | undefined;

  /** @param tell is given every line */
  constructor(tell?: (line: string) => void) {
    this.#tell = tell;
  }

  /** @param now virtual time, in ms */
  note(now: number, what: string, text = ""): void {
    this.#mix(`${now} ${what}`);
    this.#mix(text);
    this.#tell?.(
      `${(now / 1_000).toFixed(3).padStart(10)} ${what} ${text.length > 400 ? `${text.slice(0, 400)}...` : text}`,
    );
  }

  /** Everything noted so far, as 16 hex digits. */
  get hash(): string {
    const hex = (n: number) => (n >>> 0).toString(16).padStart(8, "0");
    return hex(this.#a) + hex(this.#b);
  }

  #mix(text: string): void {
    let a = this.#a;
    let b = this.#b;
    // What is long is padding.
    for (let i = 0; i < text.length; i += i < WHOLE ? 1 : 61) {
      const unit = text.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul(b ^ unit, 0x85ebca6b) ^ (b >>> 15);
    }
    this.#a = a;
    this.#b = b ^ text.length;
  }
}
