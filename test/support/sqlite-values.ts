/** Values and errors on their way between node:sqlite and callers that expect the runtime's. Pure. */
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";

/** What the runtime makes of a binding. */
export function toSql(value: unknown): SQLInputValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "number" || typeof value === "string") return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value === "bigint") throw new TypeError("Cannot convert a BigInt value to a number");
  if (typeof value === "boolean") return String(value);
  // The runtime binds `[object Object]`, which nobody means.
  throw new TypeError(`cannot bind a value of type ${typeof value}`);
}

/** What the runtime makes of a column: integers are numbers, rounded past 2^53, and blobs are buffers. */
export function fromSql(value: SQLOutputValue): SqlStorageValue {
  if (typeof value === "bigint") return Number(value);
  return value instanceof Uint8Array ? new Uint8Array(value).buffer : value;
}

/** Names of SQLite's result codes that a test can cause. */
const names: Readonly<Record<number, string>> = {
  1: "SQLITE_ERROR",
  5: "SQLITE_BUSY",
  6: "SQLITE_LOCKED",
  10: "SQLITE_IOERR",
  11: "SQLITE_CORRUPT",
  13: "SQLITE_FULL",
  18: "SQLITE_TOOBIG",
  19: "SQLITE_CONSTRAINT",
  20: "SQLITE_MISMATCH",
  26: "SQLITE_NOTADB",
  275: "SQLITE_CONSTRAINT_CHECK",
  787: "SQLITE_CONSTRAINT_FOREIGNKEY",
  1299: "SQLITE_CONSTRAINT_NOTNULL",
  1555: "SQLITE_CONSTRAINT_PRIMARYKEY",
  2067: "SQLITE_CONSTRAINT_UNIQUE",
};

/** The runtime ends a message with the name of SQLite's code, node:sqlite has its number in `errcode`. */
export function asInWorkerd(error: unknown): unknown {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return error;
  const code = error.errcode;
  const name = names[code & 0xff] ?? `SQLITE_${code & 0xff}`;
  const extended = code > 0xff ? ` (extended: ${names[code] ?? code})` : "";
  return new Error(`${error.message}: ${name}${extended}`, { cause: error });
}
