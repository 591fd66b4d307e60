/** The storage that the contract suites are given, whichever it is. */

/** What the suites use of an object's storage. */
export type TestedStorage = Pick<
  DurableObjectStorage,
  "sql" | "transactionSync" | "getAlarm" | "setAlarm" | "deleteAlarm" | "deleteAll" | "sync"
>;

/** Runs a test over an empty storage of its own. */
export type Given = (test: (storage: TestedStorage) => void | Promise<void>) => Promise<void>;

/** A test over the tables of a new room. */
export type WithTables = (test: (sql: SqlStorage) => void) => () => Promise<void>;
