/** Seeded chance, with the few questions that a simulation asks of it. */
import { randomFrom } from "../../support/random.ts";

/** A stream of chance that can be begun anew, so that what one step of a schedule draws moves no other step. */
export class Chance {
  #next: () => number;

  constructor(seed: number) {
    this.#next = randomFrom(seed);
  }

  /** Begins another stream. */
  reseed(seed: number): void {
    this.#next = randomFrom(seed);
  }

  /** From 0 to 1, without 1. */
  float = (): number => this.#next();

  /** An integer from 0, below `n`. */
  below(n: number): number {
    return Math.floor(this.#next() * n);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True in this share of cases. */
  once(share: number): boolean {
    return this.#next() < share;
  }

  pick<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }

  /** One of `choices`, by weight. */
  weighed<T>(choices: readonly (readonly [weight: number, what: T])[]): T | undefined {
    let left = this.#next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    return choices.find(([weight]) => (left -= weight) < 0)?.[1] ?? choices.at(-1)?.[1];
  }

  /** Characters that are safe in a URL. */
  id(length = 22): string {
    let id = "";
    while (id.length < length) id += Math.floor(this.#next() * 4_294_967_296).toString(36);
    return id.slice(0, length);
  }
}

/** A seed made of two numbers, for a stream of its own. */
export function mixSeed(seed: number, n: number): number {
  return (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(n + 1, 0xc2b2ae35)) >>> 0;
}
