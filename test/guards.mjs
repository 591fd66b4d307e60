// Takes out one guard at a time, in a copy of the tree, and expects the tests to notice. Slow: `npm run test:guards`.
// A guard is a piece of source text and what stands there without it; docs/design.md lists which test catches which.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

const root = join(import.meta.dirname, "..");

/** name, file, guard, without it, test file (below test/workerd) that must fail. */
const guards = [
  [
    "owner check on resume",
    "src/room/store/sessions.ts",
    "return session?.user === user ? session : undefined;",
    "return session;",
    "promises-people",
  ],
  [
    "transaction around a tick",
    "src/room/runtime/object.ts",
    "this.ctx.storage.transactionSync(() => applyTick",
    "((run) => run())(() => applyTick",
    "promises-delivery",
  ],
  [
    "transaction around a hook",
    "src/room/runtime/object.ts",
    "atomic: (run) => this.ctx.storage.transactionSync(run)",
    "atomic: (run) => run()",
    "promises-delivery",
  ],
  [
    "memory thrown away with a failed transaction",
    "src/room/runtime/object.ts",
    "this.#state = undefined;\n    if (batch",
    "if (batch",
    "promises-delivery",
  ],
  [
    "ref check",
    "src/room/core/step.ts",
    "if (ref <= state.log.refs.last(session.id)) {",
    "if (false) {",
    "promises-delivery",
  ],
  [
    "refs carried over when a row is overwritten",
    "src/room/store/log.ts",
    "carried = mergeRefs(carried, this.refs.carry(oldest.refs, alive, REMEMBERED_REFS));",
    "",
    "promises-delivery",
  ],
  [
    "epoch comparison",
    "src/room/store/epochs.ts",
    "if (index === -1) return false;",
    "if (index === -1) return true;",
    "promises-delivery",
  ],
  [
    "an epoch ends where the next one begins",
    "src/room/store/epochs.ts",
    "if (next) return offset <= next.from;",
    "",
    "recovery",
  ],
  [
    "a new epoch when nobody was connected",
    "src/room/store/state.ts",
    "if (this.connections.size === 0) this.epochs.begin",
    'if (this.epochs.current === "") this.epochs.begin',
    "recovery",
  ],
  ["a tick's bound on what it composes", "src/room/core/tick.ts", " && sends < TICK_SENDS", "", "limits"],
  [
    "what this very tick has published is of a new history",
    "src/room/core/connect.ts",
    "if (state.log.staged.length > 0) state.continueEpoch();",
    "",
    "recovery",
  ],
  [
    "a tick that cannot begin",
    "src/room/runtime/object.ts",
    "const done = Math.max(1, tick.done);",
    "const done = tick.done;",
    "schema",
  ],
  ["a stub that failed", "src/room.ts", "this.#directory = undefined;", "", "operator"],
  [
    "presence told whole",
    "src/room/runtime/fanout.ts",
    '(i >= news || effect.type !== "presence")',
    "true",
    "promises-memory",
  ],
  ["sockets that will not go", "src/room/runtime/sockets.ts", "open >= MAX_DISMISSED", "false", "flow"],
  ["a quiet room's doubts", "src/room/core/alarm.ts", "doubts || busy", "busy", "heartbeat"],
  [
    "tables again after storage was wiped",
    "src/room/runtime/object.ts",
    "migrate(this.ctx.storage);",
    "if (!this.#armed) migrate(this.ctx.storage);",
    "recovery",
  ],
  [
    "future-offset check",
    "src/room/store/epochs.ts",
    "return offset <= head ? true : undefined;",
    "return true;",
    "promises-delivery",
  ],
  [
    "trimmed-log check",
    "src/room/core/resume.ts",
    'if (!log.covers(position.offset)) return "log_trimmed";',
    "",
    "promises-delivery",
  ],
  [
    "detach of a closed socket",
    "src/room/core/depart.ts",
    "const connection = state.connections.get(session.id);\n  if (connection) state.release(connection);",
    "",
    "flow",
  ],
  [
    "stale generation of a replaced connection",
    "src/room/core/step.ts",
    "if (session?.generation === event.generation && session.droppedAt === null)",
    "if (session && session.droppedAt === null)",
    "eviction",
  ],
  [
    "drops that nobody told of",
    "src/room/store/state.ts",
    "const lost = this.#lost;",
    "const lost: readonly Session[] = [];",
    "promises-people",
  ],
  [
    "the beat written down when the alarm is for something else",
    "src/room/store/state.ts",
    'this.meta.set("beat"',
    'void ("beat"',
    "heartbeat",
  ],
  [
    "credit",
    "src/room/store/state.ts",
    "return acked === undefined || hasCredit",
    "return true || hasCredit",
    "promises-memory",
  ],
  ["backlog bound", "src/room/runtime/sockets.ts", 'return verdict !== "slow";', "return true;", "promises-memory"],
  [
    "the moment the alarm was set for",
    "src/room/runtime/object.ts",
    "this.#armed = info?.scheduledTime ?? this.#armed;",
    "this.#armed = undefined;",
    "heartbeat",
  ],
  [
    "a token that ran out before the alarm rang",
    "src/room/core/step.ts",
    "if (session.expires <= now) return",
    "if (false) return",
    "promises-people",
  ],
  [
    "refs that spill into rows of their own",
    "src/room/store/log.ts",
    "this.#spill(carried);\n    const",
    "const",
    "limits",
  ],
  [
    "nothing twice after a sync in the same tick",
    "src/room/runtime/fanout.ts",
    "connection.fed !== log.committed ||",
    "",
    "limits",
  ],
  [
    "ack ahead of what was sent",
    "src/room/core/step.ts",
    "if (frame.offset <= connection.fed) ack",
    "if (true) ack",
    "promises-memory",
  ],
  [
    "rate limit",
    "src/room/rules/rate.ts",
    "if (bucket.tokens >= 0) return { ok: true };",
    "if (true) return { ok: true };",
    "flow",
  ],
  [
    "once per member",
    "src/room/core/depart.ts",
    "if (isPresent(state.sessions, gone.id)) return announceChange(state, gone, effects);",
    "",
    "promises-people",
  ],
  [
    "re-arming after a failed alarm",
    "src/room/runtime/object.ts",
    "this.#arm(this.now() + ALARM_RETRY)",
    "void 0",
    "promises-people",
  ],
  [
    "the origin that only our Worker has",
    "src/room/admission.ts",
    "value === null || new URL(request.url).origin !== ROOM_ORIGIN",
    "value === null",
    "promises-people",
  ],
  [
    "answer to a close",
    "src/room/runtime/object.ts",
    "closeQuietly(socket, code, reason);\n    await",
    "await",
    "eviction",
  ],
  ["depth limit", "src/protocol/codec.ts", "if (deeper(message,", "if (false && deeper(message,", "bad-input"],
  [
    "books carried by a socket",
    "src/room/runtime/sockets.ts",
    "if (carrier) this.#remember(carrier, head, books.carry());",
    "if (carrier) this.#remember(carrier, head);",
    "telling",
  ],
  [
    "last words of a socket that wakes the room",
    "src/room/runtime/sockets.ts",
    "if (this.#lastWords) carried.push(this.#lastWords);",
    "",
    "telling",
  ],
  [
    "what is grave is not pushed out",
    "src/room/telemetry/failure.ts",
    "const first = all.findIndex((other) => !isGrave(other));",
    "const first = 0;",
    "telling",
  ],
  ["tokens taken out of the log", "src/room/telemetry/failure.ts", '.replace(TOKEN, "[token]")', "", "security-frames"],
  ["lines of one code", "src/ops/failures.ts", "if (++flow.lines > LINES) {", "if (false) {", "alerts"],
  [
    "revoked tokens over HTTP",
    "src/room/core/operate.ts",
    'if (state.revocations.covers(user, issued)) return { ok: false, code: "revoked" };',
    "",
    "api",
  ],
  [
    "who has joined may publish over HTTP",
    "src/room/core/operate.ts",
    "if (isMembers && !isPresent(state.sessions, user)) {",
    "if (false) {",
    "api-publish",
  ],
  [
    "one key, one publication",
    "src/room/core/operate.ts",
    "if (posted && posted.digest !== key?.digest)",
    "if (false)",
    "api-publish",
  ],
  [
    "what a hook wrote for what cannot be stored",
    "src/room/core/publish.ts",
    "?? reject(texts.too_large);\n  };",
    "as never;\n  };",
    "promises-delivery",
  ],
  [
    "a late answer for another batch",
    "src/room/store/outbox.ts",
    "if (this.#flying?.id !== id) return undefined;",
    "if (!this.#flying) return undefined;",
    "outbox-faults",
  ],
  [
    "the head of the line",
    "src/room/store/outbox.ts",
    "if (oldest.tries > 0 && oldest.due > now) return undefined;",
    "",
    "outbox-faults",
  ],
  [
    "nobody waits for another's probe",
    "src/ops/upstream.ts",
    "if (this.#breaker.state !== CircuitState.HalfOpen) return;",
    "return;",
    "upstream",
  ],
];

const wanted = process.argv[2];
const tree = mkdtempSync(join(tmpdir(), "edgerooms-guards-"));
const left = new Set([".git", "node_modules", "dist", ".wrangler", ".dev.vars"]);
cpSync(root, tree, { recursive: true, filter: (path) => !left.has(relative(root, path)) });
symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));

let missed = 0;
for (const [i, [name, file, guard, without, test]] of guards.entries()) {
  if (wanted !== undefined && !name.includes(wanted)) continue;
  const path = join(tree, file);
  const text = readFileSync(path, "utf8");
  const found = text.split(guard).length - 1;
  if (found !== 1) {
    console.log(`[${i + 1}/${guards.length}] ${name}: the guard stands ${found} times in ${file}`);
    missed++;
    continue;
  }
  writeFileSync(
    path,
    text.replace(guard, () => without),
  );
  const args = ["run", "--project", "workerd", `test/workerd/${test}.test.ts`];
  const run = spawnSync(join(root, "node_modules/.bin/vitest"), args, {
    cwd: tree,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  writeFileSync(path, text);
  const failed = [...(run.stdout + run.stderr).matchAll(/^.*FAIL.* > (.*?)\s*$/gm)].map(([, title = ""]) => title);
  const caught = run.status !== 0 && failed.length > 0;
  if (!caught) missed++;
  console.log(
    `[${i + 1}/${guards.length}] ${name}: ${caught ? `caught by "${[...new Set(failed)].join('", "')}"` : "NOT CAUGHT"}`,
  );
}
rmSync(tree, { recursive: true, force: true });
console.log(missed === 0 ? "Every guard is tested." : `${missed} guards are not tested.`);
process.exit(missed === 0 ? 0 : 1);
