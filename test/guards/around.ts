/** The guards around the rooms: protocol, Worker and what observes them. */
import type { Guard } from "./guard.ts";

export const around: readonly Guard[] = [
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
    tests: ["workerd/alerts.test.ts"],
  },
  {
    name: "nobody waits for another's probe",
    file: "src/ops/upstream.ts",
    text: "if (this.#breaker.state !== CircuitState.HalfOpen) return;",
    without: "return;",
    tests: ["workerd/upstream.test.ts"],
  },
];
