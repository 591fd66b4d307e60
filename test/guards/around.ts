/** The guards around the rooms: protocol, Worker and what observes them. */
import type { Guard } from "./guard.ts";

export const around: readonly Guard[] = [
  {
    name: "what followed a refused publish is answered before it goes again",
    file: "src/client/session/outbox.ts",
    text: "before && before.nth > entry.nth",
    without: "false",
    tests: ["unit/client-outbox.test.ts"],
  },
  {
    name: "a stub that failed",
    file: "src/room.ts",
    text: "this.#directory = undefined;",
    without: "",
    tests: ["workerd/operator.test.ts"],
  },
  {
    name: "depth limit",
    file: "src/protocol/codec.ts",
    text: "if (deeper(message,",
    without: "if (false && deeper(message,",
    tests: ["workerd/bad-input.test.ts"],
  },
  {
    name: "lines of one code",
    file: "src/ops/failures.ts",
    text: "if (++flow.lines > LINES) {",
    without: "if (false) {",
    tests: ["isolate/alerts.test.ts"],
  },
  {
    name: "credentials of authorize are checked",
    file: "src/http/gate/gate.ts",
    text: 'readCredentials(word, "authorize")',
    without: "(word as Credentials)",
    tests: ["workerd/authorization.test.ts"],
  },
  {
    name: "what an Authenticator returns is checked",
    file: "src/http/gate/gate.ts",
    text: '...readIdentity(answer, "the Authenticator")',
    without: "...(answer as Verified)",
    tests: ["workerd/authorization.test.ts"],
  },
  {
    name: "an answer without its fields is no success",
    file: "src/http/room-call.ts",
    text: "fields.every((field) => field in value)",
    without: "fields.length >= 0",
    tests: ["unit/answers.test.ts"],
  },
  {
    name: "a report to the directory ends",
    file: "src/room.ts",
    text: "REPORT_TIMEOUT_MS,\n      );",
    without: "1e9,\n      );",
    tests: ["isolate/reporting.test.ts"],
  },
  {
    name: "failures of earlier versions are read",
    file: "src/ops/directory.ts",
    text: 'record.source ?? where ?? ""',
    without: 'record.source ?? ""',
    tests: ["workerd/directory.test.ts"],
  },
  {
    name: "nobody waits for another's probe",
    file: "src/ops/upstream.ts",
    text: "if (this.#breaker.state !== CircuitState.HalfOpen) return;",
    without: "return;",
    tests: ["isolate/upstream.test.ts"],
  },
];
