/**
 * A program without a connection: publishes over HTTP, one thing after another. What was not answered is asked for again under
 * the same key, so that it counts once.
 */
import type { Plan } from "./orders.ts";
import type { Recorder } from "./record.ts";
import { brief, saying } from "./saying.ts";
import { Tokens } from "./tokens.ts";

/** Between two publications, on average, and before one is asked for again, in ms. */
const EVERY_MS = 3_000;
const AGAIN_MS = 500;
/** How long one request may take, in ms. */
const TIMEOUT_MS = 8_000;

/** One such program, beside a client and over its way. */
export class Poster {
  readonly #plan: Plan;
  readonly #name: string;
  readonly #recorder: Recorder;
  readonly #random: () => number;
  readonly #tokens: Tokens;
  #said = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waiting: string | undefined;
  #isHushed = false;

  constructor(plan: Plan, secret: string, recorder: Recorder, random: () => number) {
    this.#plan = plan;
    this.#name = `${plan.name}post`;
    this.#recorder = recorder;
    this.#random = random;
    this.#tokens = new Tokens(secret, plan, random);
    const { user, room } = plan;
    recorder.note({ what: "begin", client: this.#name, user, room, sort: "raw" });
    this.#later();
  }

  /** Publications without an answer. */
  get pending(): number {
    return this.#waiting === undefined ? 0 : 1;
  }

  /** Says nothing new. */
  hush(): void {
    this.#isHushed = true;
    clearTimeout(this.#timer);
    this.#tokens.last();
  }

  /** Notes what was never answered. */
  end(): void {
    if (this.#waiting !== undefined) this.#settle({ what: "failed", code: "unanswered" });
  }

  #later(): void {
    if (this.#isHushed) return;
    this.#timer = setTimeout(() => void this.#post(), 2 * EVERY_MS * this.#random());
  }

  async #post(): Promise<void> {
    const data = saying(this.#name, ++this.#said, [], this.#random() > 0.98, 0);
    this.#waiting = data;
    this.#recorder.note({ what: "say", client: this.#name, data: brief(data) });
    while (!(await this.#try(data))) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    this.#waiting = undefined;
    this.#later();
  }

  /** Returns whether it is settled. */
  async #try(data: string): Promise<boolean> {
    try {
      const { port, room } = this.#plan;
      const response = await fetch(`http://127.0.0.1:${port}/rooms/${room}/publish`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${await this.#tokens.next()}`,
          "content-type": "application/json",
          "idempotency-key": data,
        },
        body: JSON.stringify({ data }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const answer: { readonly offset?: number; readonly code?: string } = JSON.parse(await response.text());
      if (response.ok) this.#settle({ what: "settled", offset: answer.offset ?? 0 });
      // The hook has refused it. Everything else may work the next time.
      else if (answer.code === "hook_failed") this.#settle({ what: "failed", code: answer.code });
      else return false;
      return true;
    } catch {
      return false;
    }
  }

  #settle(how: { what: "settled"; offset: number } | { what: "failed"; code: string }): void {
    if (this.#waiting === undefined) return;
    this.#recorder.note({ client: this.#name, data: brief(this.#waiting), ...how });
    this.#waiting = undefined;
  }
}
