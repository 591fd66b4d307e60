/** What a guard of the code is to those who take it out. */

/** A piece of source text without which a promise is broken, and the tests that must notice. */
export interface Guard {
  readonly name: string;
  /** Below the root of the repository. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly text: string;
  /** What stands there without the guard. */
  readonly without: string;
  /** Files below test/. In each of them a test must fail without the guard. */
  readonly tests: readonly [string, ...string[]];
}
