/**
 * Takes SQL text apart the way Durable Object storage does: one statement after another, with the number of its
 * parameters, and refuses what that storage refuses before it runs anything. Opens no database.
 */

/** One statement of a text. */
export interface Statement {
  readonly text: string;
  /** How many values it needs. */
  readonly parameters: number;
  /** Whether it may change tables, so that what was prepared earlier may be out of date. */
  readonly changesSchema: boolean;
  /** Whether it only reads: it may run twice. */
  readonly isRead: boolean;
}

const MAX_PARAMETERS = 100;
const MAX_STATEMENT_BYTES = 100_000;

/** Comments, and pieces in which a semicolon or a question mark is only a character. */
const COMMENT = String.raw`--[^\n]*|/\*[^]*?\*/`;
const QUOTED = String.raw`'[^']*'|"[^"]*"|\`[^\`]*\`|\[[^\]]*\]`;
/** A trigger is one statement, though those of its body end with semicolons. */
const TRIGGER = String.raw`\bcreate\s+(?:temp\w*\s+)?trigger\b[^]*?;\s*end\b`;
const statements = new RegExp(`(?:${TRIGGER}|${COMMENT}|${QUOTED}|[^;])+`, "gi");
const comments = new RegExp(`(${QUOTED})|${COMMENT}`, "g");
const quoted = new RegExp(QUOTED, "g");

/** The pragmas that answer questions and set nothing. */
const PRAGMAS = /^pragma\s+(?:table_list|table_info|table_xinfo|index_list|index_info|foreign_key_list)\b/i;

/** Texts that stay taken apart, at most. Every storage has the same ones: a simulation opens thousands. */
const MAX_KNOWN = 1_000;
const known = new Map<string, readonly Statement[]>();

/**
 * The statements of a text, in their order.
 *
 * @throws Error with the words of the runtime where it has any: no statement, transactions and pragmas typed by hand,
 *   too many parameters, too long
 */
export function parse(query: string): readonly Statement[] {
  let found = known.get(query);
  if (!found) {
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(query, (found = parseAll(query)));
  }
  return found;
}

function parseAll(query: string): readonly Statement[] {
  const found = (query.match(statements) ?? []).filter((text) => text.trim() !== "").map(parseOne);
  if (found.length === 0) throw new Error("SQL code did not contain a statement.");
  if (found.slice(0, -1).some(({ parameters }) => parameters > 0)) {
    throw new Error(
      "When executing multiple SQL statements in a single call, only the last statement can have parameters.",
    );
  }
  return found;
}

function codeOf(text: string): string {
  return text.replaceAll(comments, "$1").trim();
}

function parseOne(text: string): Statement {
  const code = codeOf(text);
  if (code === "") throw new Error("SQL code did not contain a statement.");
  if (/^(?:begin|commit|end|rollback|savepoint|release)\b/i.test(code)) {
    throw new Error("To execute a transaction, please use the state.storage.transactionSync() API.");
  }
  const isPrivate = /\b_cf_/i.test(code.replaceAll(/'[^']*'/g, "")) || /^(?:attach|detach|vacuum)\b/i.test(code);
  if (isPrivate || (/^pragma\b/i.test(code) && !PRAGMAS.test(code))) throw new Error("not authorized: SQLITE_AUTH");
  if (Buffer.byteLength(text) > MAX_STATEMENT_BYTES) throw new Error("statement too long: SQLITE_TOOBIG");
  const parameters = countParameters(code.replaceAll(quoted, ""));
  if (parameters > MAX_PARAMETERS) throw new Error("too many SQL variables: SQLITE_ERROR");
  const changesSchema = /^(?:create|drop|alter)\b/i.test(code);
  return { text: text.trim(), parameters, changesSchema, isRead: /^select\b/i.test(code) };
}

/** As SQLite numbers them: `?` is one more than the highest so far, `?3` is the third. */
function countParameters(code: string): number {
  let highest = 0;
  for (const [, number] of code.matchAll(/\?(\d*)/g)) {
    highest = number ? Math.max(highest, Number(number)) : highest + 1;
  }
  return highest;
}
