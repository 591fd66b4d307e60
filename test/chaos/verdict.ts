/** What the checker found: violations, each with the promise it breaks and the event that showed it, and counts. */

/** The promises that are judged, with the line each has in the report. */
export const promises = {
  loss: "lost",
  double: "doubled",
  order: "out of order",
  ack: "false acks",
  resume: "resumes and resets that were not honest",
  presence: "presence errors",
  foreign: "sessions or addressed items of another",
  token: "frames taken after the end of a token or of a session",
  stuck: "clients that did not recover",
} as const;

/** One of {@link promises}. */
export type PromiseName = keyof typeof promises;

/** What a violation is about, and which client, so that its history can be told. */
export interface About {
  readonly client?: string | undefined;
  readonly conn?: string | undefined;
  readonly room?: string | undefined;
  readonly user?: string | undefined;
  readonly offset?: number | undefined;
  readonly data?: string | undefined;
}

/** A broken promise. */
export interface Violation {
  readonly promise: PromiseName;
  readonly text: string;
  readonly about: About;
  /** How many events of the history it takes to see it: no shorter prefix shows it. */
  readonly prefix: number;
}

/** Violations kept in full; of more only the number is. */
const KEPT = 200;

/** Collects what is found while the history is read, event by event. */
export class Verdict {
  /** Events seen so far. */
  seen = 0;
  readonly violations: Violation[] = [];
  readonly broken = new Map<PromiseName, number>();
  readonly counts = new Map<string, number>();

  violated(promise: PromiseName, text: string, about: About): void {
    this.broken.set(promise, (this.broken.get(promise) ?? 0) + 1);
    if (this.violations.length < KEPT) this.violations.push({ promise, text, about, prefix: this.seen });
  }

  count(what: string, times = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + times);
  }

  counted(what: string): number {
    return this.counts.get(what) ?? 0;
  }
}
