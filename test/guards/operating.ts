/** The guards of operating: the directory, undelivered events, the command. */
import type { Guard } from "./guard.ts";

export const operating: readonly Guard[] = [
  {
    name: "undelivered events are reported until the directory knows",
    file: "src/room/store/undelivered.ts",
    text: "? undefined : this.#notBefore;",
    without: "? undefined : undefined;",
    tests: ["unit/undelivered.test.ts"],
  },
  {
    name: "a room that nobody is in stays listed while it has dead letters",
    file: "src/ops/directory.ts",
    text: "if (dead + pending === 0) sql.exec(",
    without: "if (dead + pending >= 0) sql.exec(",
    tests: ["workerd/directory.test.ts"],
  },
  {
    name: "a batch that is skipped while it is delivered",
    file: "src/room/store/outbox.ts",
    text: "if (!batch) return this.#settleSkipped(taken, outcome);",
    without: "if (!batch) return undefined;",
    tests: ["unit/stores-contract.test.ts"],
  },
  {
    name: "a part of the directory that hangs is waited for so long",
    file: "src/ops/shards.ts",
    text: "PART_TIMEOUT_MS);",
    without: "1e9);",
    tests: ["unit/directory-parts.test.ts"],
  },
  {
    name: "no counters from a directory of which a part is missing",
    file: "src/ops/metrics.ts",
    text: "const counted = missing === 0 ? kinds : [];",
    without: "const counted = kinds;",
    tests: ["unit/directory-parts.test.ts"],
  },
  {
    name: "the directory looks only at rooms of the caller",
    file: "src/ops/directory.ts",
    text: "if (patterns && !patterns.some(",
    without: "if (patterns && patterns.length < 0 && !patterns.some(",
    tests: ["workerd/directory.test.ts", "workerd/operator.test.ts"],
  },
  {
    name: "authorize is asked about few rooms of a page",
    file: "src/http/api/routes.ts",
    text: "...(!isFinal && { limit }) });",
    without: "});",
    tests: ["workerd/operator.test.ts"],
  },
  {
    name: "ends of connections have a ring of their own",
    file: "src/ops/records.ts",
    text: "if (isEnd(failure)) return 2;",
    without: "",
    tests: ["workerd/directory.test.ts"],
  },
  {
    name: "records do not outlive their week",
    file: "src/ops/records.ts",
    text: "if (!(Number(at) > oldest))",
    without: "if (false)",
    tests: ["workerd/directory.test.ts"],
  },
  {
    name: "a room that never was is not drained",
    file: "src/room/core/operate.ts",
    text: "if (state.isNew && NEED_A_ROOM.has(command.type)) {",
    without: "if (false) {",
    tests: ["unit/undelivered.test.ts", "workerd/never-was.test.ts"],
  },
  {
    name: "rows of a room's tables are counted",
    file: "src/room/store/schema.ts",
    text: "written(Math.max(0, metered.rowsWritten",
    without: "written(0 * Math.max(0, metered.rowsWritten",
    tests: ["isolate/metrics.test.ts", "workerd/rows.test.ts"],
  },
  {
    name: "a drain counts rooms that have reopened",
    file: "src/cli/emptying.ts",
    text: "const isOpen = ({ name, reopensHere }: DrainedRoom) => reopensHere <= now && !stayed.has(name);",
    without: "const isOpen = ({ name }: DrainedRoom) => stayed.size < 0 && !stayed.has(name);",
    tests: ["e2e/cli-fleet.test.ts"],
  },
];
