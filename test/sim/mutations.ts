/**
 * Seeded mistakes in the source, each of which the simulator must find: whether the oracle would notice is shown by
 * breaking the room. Each is made in a copy of the source, and played until a schedule fails.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ofRelays } from "./relay-mutations.ts";

/** One mistake: a text of a source file, and what stands there instead. */
export interface Mutation {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** Relays of the room that must show it. Default: none. */
  readonly relays?: number;
}

/** How long each may take to be found, in ms of real time. */
const PATIENCE = 60_000;

/** The mistakes. A text that is not found exactly once is an error: then this list is out of date. */
export const list: readonly Mutation[] = [
  ...ofRelays.map((mutation) => ({ ...mutation, relays: 3 })),
  {
    name: "a repeated publish is stored again",
    file: "src/room/core/frames.ts",
    from: "if (ref <= last) {",
    to: "if (ref < 0) {",
  },
  {
    name: "a position of another history is continued",
    file: "src/room/store/epochs.ts",
    from: "if (index === -1) return false;",
    to: "if (index === -1) return offset <= head ? true : undefined;",
  },
  {
    name: "a drop is announced without grace",
    file: "src/room/core/depart.ts",
    from: "  if (crowded) end(turn, crowded);",
    to: "  if (crowded) end(turn, crowded);\n  const dropped = state.sessions.get(session.id);\n  if (dropped) graceOver(turn, dropped);",
  },
  {
    name: "the publications of a tick go out in the wrong order",
    file: "src/room/runtime/fanout.ts",
    from: "for (const item of range.items) {",
    to: "for (const item of range.items.toReversed()) {",
  },
  {
    name: "a publication is acknowledged though its row was not written",
    file: "src/room/core/tick.ts",
    from: "  state.log.commit();\n",
    to: "  try { state.log.commit(); } catch { /* seeded */ }\n",
  },
  {
    name: "a replay begins one too late",
    file: "src/room/core/resume.ts",
    from: "  feed(turn, connection, offset);\n}\n\n/**",
    to: "  feed(turn, connection, Math.min(offset + 1, log.head));\n}\n\n/**",
  },
  {
    name: "any user that names a session gets it",
    file: "src/room/store/sessions.ts",
    from: "return session?.user === user ? session : undefined;",
    to: 'return session ?? (user === "" ? session : undefined);',
  },
  {
    name: "the alarm is not armed after a tick of one event",
    file: "src/room/runtime/ticker.ts",
    from: "    this.arm(outcome.alarm);\n",
    to: "    if (batch.length !== 1) this.arm(outcome.alarm);\n",
  },
  {
    name: "the refs of a row that is overwritten are forgotten",
    file: "src/room/store/refs.ts",
    from: "      if (kept.length > 0) carried[session] = kept;\n",
    to: "",
  },
  {
    name: "a leave is announced twice",
    file: "src/room/core/depart.ts",
    from: '  turn.presence({ change: "leave", user: gone.id });\n',
    to: '  turn.presence({ change: "leave", user: gone.id });\n  turn.presence({ change: "leave", user: gone.id });\n',
  },
  {
    name: "who does not acknowledge is fed all the same",
    file: "src/room/rules/connection.ts",
    from: "return credit === undefined || (offset - credit.offset < CREDIT_ITEMS && bytes - credit.bytes < CREDIT_BYTES);",
    to: "return credit === undefined || offset + bytes + CREDIT_ITEMS + CREDIT_BYTES > 0;",
  },
  {
    name: "the events beside one that fails are dropped",
    file: "src/room/runtime/ticker.ts",
    from: "      const ran = this.#tick(part, trouble);\n",
    to: "      const ran = part.length > 1 ? { done: part.length, sockets: 0 } : this.#tick(part, trouble);\n",
  },
  {
    name: "what a hook wrote stays though it threw",
    file: "src/room/core/hooks.ts",
    from: "const value = turn.state.atomic(() => {",
    to: "const value = (<U>(run: () => U) => run())(() => {",
  },
  {
    name: "who answers no heartbeat stays",
    file: "src/room/core/alarm.ts",
    from: "if (count >= definition.heartbeat.misses) disconnect",
    to: "if (count > 100) disconnect",
  },
  {
    name: "a number of members that must wait is forgotten",
    file: "src/room/core/presence.ts",
    from: "  if (due > now) effects.countDue = due;\n",
    to: "  if (due > now) headcount.told(now);\n",
  },
  {
    name: "a list is sent where members learn a number",
    file: "src/room/core/turn.ts",
    from: 'if (state.definition.presence === "list") this.#tick',
    to: 'if (state.definition.presence !== "off") this.#tick',
  },
  {
    name: "a signal goes out though its hook refused it",
    file: "src/room/core/signal.ts",
    from: "    if (!result.ok) return result;\n    if (result.value !== undefined)",
    to: "    if (result.ok && result.value !== undefined)",
  },
  {
    name: "a hook is told another offset than its publication gets",
    file: "src/room/core/publish.ts",
    from: "offset: turn.state.log.head + 1",
    to: "offset: turn.state.log.committed + 1",
  },
  {
    name: "a delivery that failed counts as one",
    file: "src/room/store/outbox.ts",
    from: "    if (outcome.ok) {\n      this.#waiting.splice(at, 1);",
    to: "    if (outcome.ok || outcome.code !== undefined) {\n      this.#waiting.splice(at, 1);",
  },
  {
    name: "what is addressed to some is shown to all",
    file: "src/room/store/log.ts",
    from: "return publication.to === undefined || publication.by === user || publication.to.includes(user);",
    to: "return publication.offset > 0 || publication.by === user;",
  },
  {
    name: "a timer that failed is forgotten",
    file: "src/room/core/alarm.ts",
    from: "  else state.timers.retry(timer, now);",
    to: "  else state.timers.cancel(name);",
  },
  {
    name: "sessions that lost their socket in a crash stay connected",
    file: "src/room/runtime/ticker.ts",
    from: "    this.#lost = state.lost;\n",
    to: "",
  },
  {
    name: "a token ends and its connection does not",
    file: "src/room/rules/deadlines.ts",
    from: "  if (droppedAt === null) return expires;",
    to: "  if (droppedAt === null) return Math.max(expires, Infinity);",
  },
  {
    name: "the client does not send again what was in flight",
    file: "src/client/session/outbox.ts",
    from: "    for (const entry of this.#inFlight) this.#enqueue(entry);\n",
    to: "",
  },
  {
    name: "the client believes to have what it was not told of",
    file: "src/client/session/frames.ts",
    from: "  position.moveTo(Math.max(upto, position.offset));\n",
    to: "  position.moveTo(Math.max(upto, position.offset) + 1);\n",
  },
];

/** Tries every one of them. Returns whether all were found. */
export async function mutations(say: (line: string) => void, only?: string): Promise<boolean> {
  let isGood = true;
  for (const mutation of list.filter(({ name }) => only === undefined || name.includes(only))) {
    const began = performance.now();
    const { found, lines } = await tryOne(mutation);
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    say(`\n${found ? "found" : "NOT FOUND"} in ${seconds} s: ${mutation.name} (${mutation.file})`);
    for (const line of lines) say(`  ${line}`);
    isGood &&= found;
  }
  return isGood;
}

async function tryOne({ file, from, to, relays = 0 }: Mutation): Promise<{ found: boolean; lines: string[] }> {
  const root = join(import.meta.dirname, "../..");
  const copy = await mkdtemp(join(tmpdir(), "edgerooms-sim-"));
  try {
    for (const part of ["package.json", "src", "test/sim", "test/support"]) {
      await cp(join(root, part), join(copy, part), { recursive: true });
    }
    await symlink(join(root, "node_modules"), join(copy, "node_modules"));
    const path = join(copy, file);
    const text = await readFile(path, "utf8");
    if (text.split(from).length !== 2) throw new Error(`${file} does not have this text exactly once: ${from}`);
    await writeFile(
      path,
      text.replace(from, () => to),
    );
    return await hunt(copy, relays);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Plays the copy until a schedule fails, or for as long as there is patience. */
async function hunt(copy: string, relays: number): Promise<{ found: boolean; lines: string[] }> {
  const args = [
    "--disable-warning=ExperimentalWarning",
    "test/sim/main.ts",
    "--schedules",
    "1000000",
    "--hunt",
    String(PATIENCE),
    "--relays",
    String(relays),
  ];
  const child = spawn(process.execPath, args, { cwd: copy, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const lines = output.slice(output.indexOf("\nseed ")).trim().split("\n");
  return { found: code === 1 && output.includes("the shortest schedule"), lines };
}
