/** What a client has to say and when: unique texts, some addressed, some that the room must refuse, some long. */
import type { Plan } from "./orders.ts";
import { saying } from "./saying.ts";

/** The next thing to say, and its addressees. */
export interface Line {
  readonly data: string;
  readonly to: readonly string[];
}

/** One client's part. */
export class Talk {
  readonly #plan: Plan;
  readonly #random: () => number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  said = 0;

  constructor(plan: Plan, random: () => number) {
    this.#plan = plan;
    this.#random = random;
  }

  /** @param length of a burst's; the ordinary ones are short, and long now and then */
  next(length?: number): Line {
    const { name, others } = this.#plan;
    const dice = this.#random();
    const isPlain = length !== undefined;
    const to = !isPlain && dice < 0.1 && others.length > 0 ? [others[Math.floor(dice * 10 * others.length)] ?? ""] : [];
    const breaks = !isPlain && dice > 0.99;
    const usual = dice > 0.96 && dice < 0.98 ? 4_000 : 0;
    return { data: saying(name, ++this.said, to, breaks, length ?? usual), to };
  }

  /** Calls `say` again and again, at the plan's pace on average, until {@link hush}. */
  begin(say: () => void): void {
    const wait = (2_000 / this.#plan.pace) * this.#random();
    this.#timer = setTimeout(() => {
      say();
      this.begin(say);
    }, wait);
  }

  hush(): void {
    clearTimeout(this.#timer);
  }
}
