/**
 * Storage that older versions of edgerooms wrote, from test/fixtures, with the facts that a test needs. How it was made
 * stands at the head of each file.
 */
import facts1 from "../fixtures/schema-1.json";
import facts2 from "../fixtures/schema-2.json";
import facts3 from "../fixtures/schema-3.json";
// @ts-expect-error Only the bundler knows `?raw`: the file as text.
import sql1 from "../fixtures/schema-1.sql?raw";
// @ts-expect-error As above.
import sql2 from "../fixtures/schema-2.sql?raw";
// @ts-expect-error As above.
import sql3 from "../fixtures/schema-3.sql?raw";

/** A ref that a session published under, and what came of it. */
interface TakenRef {
  readonly ref: number;
  readonly offset: number;
}

/** What is known of an old storage. */
export interface OldFacts {
  readonly schema: number;
  /** When the process was killed, in ms since the epoch. */
  readonly savedAt: number;
  /** Lost her connection before the last publications: where she was, and her refs. */
  readonly ann: {
    readonly user: string;
    readonly session: string;
    readonly epoch: string;
    readonly offset: number;
    readonly refs: readonly TakenRef[];
  };
  /** What ann showed as presence. */
  readonly annData: { readonly typing: boolean; readonly mood: string };
  /** Everything after ann's offset that she may see. */
  readonly missed: readonly { readonly offset: number; readonly by: string; readonly data: unknown }[];
  /** Offset of a publication to eve alone. */
  readonly hidden: number;
  /** Was connected when the process was killed, and had everything. */
  readonly bob: { readonly user: string; readonly session: string; readonly offset: number };
  /** Published so much that their first publications are no longer in the log. The first two were connected. */
  readonly crowd: readonly { readonly user: string; readonly session: string; readonly refs: readonly TakenRef[] }[];
  /** A publication over HTTP with an Idempotency-Key. */
  readonly key?: {
    readonly user: string;
    readonly key: string;
    readonly body: { readonly data: string };
    readonly offset: number;
    readonly at: number;
  };
  /** Batches of events that waited, and that were given up. */
  readonly outbox?: { readonly pending: number; readonly dead: number };
}

/** An old storage. */
export interface OldStorage {
  /** Statements that make it. */
  readonly sql: string;
  readonly facts: OldFacts;
}

/** Every old storage there is, oldest first. */
export const oldStorages: readonly OldStorage[] = [
  { sql: sql1 as string, facts: facts1 },
  { sql: sql2 as string, facts: facts2 },
  { sql: sql3 as string, facts: facts3 },
];

/** The same storage as if it had been saved at another time. */
export function savedAt({ sql, facts }: OldStorage, now: number): OldStorage {
  const later = now - facts.savedAt;
  // Nothing in it but times has 13 digits.
  const moved = sql.replaceAll(/\b1\d{12}\b/g, (at) => String(Number(at) + later));
  return { sql: moved, facts: { ...facts, savedAt: now } };
}
