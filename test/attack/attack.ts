/**
 * `npm run attack -- [--sockets 9800] [--users 100] [--seconds 20]`: attacks a plain workerd process and prints what it
 * cost as the table of docs/concepts/security.md. Loopback only. Fails when a check does.
 */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { attackDoor } from "./door.ts";
import { halfMessages, hostileRoom, replays, takeovers, unreadRoom, type Row } from "./sockets.ts";
import { check, failures, target } from "./target.ts";

const { values } = parseArgs({
  options: { sockets: { type: "string" }, users: { type: "string" }, seconds: { type: "string" } },
});
const sockets = Number(values.sockets ?? 500);
const users = Number(values.users ?? 100);
const seconds = Number(values.seconds ?? 5);
const rows: Row[] = [];

// What workerd.ts removes when the process ends, it removes then too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

/** Runs something against a process of its own, so that nothing begins with what another left. */
async function against(run: (workerd: Awaited<ReturnType<typeof target>>) => Promise<void>): Promise<void> {
  const workerd = await target();
  try {
    await run(workerd);
  } finally {
    await workerd.stop();
  }
}

/** One line of the table. */
async function measure(title: string, run: (workerd: Awaited<ReturnType<typeof target>>) => Promise<Row>) {
  await against(async (workerd) =>
    check(title, async () => {
      const row = await run(workerd);
      rows.push(row);
      return row.note;
    }),
  );
}

await against(async (workerd) => attackDoor(workerd, Math.min(sockets, 500)));
await against(async (workerd) => takeovers(workerd, 200));
await measure("hostile members cost what they cost, and honest ones miss nothing", async (workerd) =>
  hostileRoom(workerd, sockets, users, seconds),
);
const different = Math.min(sockets, 2_000);
await measure("hostile members who are all different users hold up nobody either", async (workerd) =>
  hostileRoom(workerd, different, different, seconds),
);
await measure("who never reads is given up", async (workerd) => unreadRoom(workerd, 40));
await measure("half messages hold up nobody", async (workerd) => halfMessages(workerd, 20));
await measure("replays for many at once are bounded", async (workerd) => replays(workerd, 40));

const git = execFileSync("git", ["rev-parse", "--short", "HEAD"], {
  cwd: import.meta.dirname,
  encoding: "utf8",
}).trim();
const date = new Date().toISOString().slice(0, 10);
console.log(`
${cpus().length} cores (${cpus()[0]?.model}), Node ${process.versions.node}, ${date}, commit ${git},
\`npm run attack -- ${process.argv.slice(2).join(" ")}\`

| Attack | Sockets | MB before | MB under attack | KB per socket | What else |
| --- | ---: | ---: | ---: | ---: | --- |`);
for (const { attack, sockets: n, before, after, note } of rows) {
  const each = Math.round(((after - before) * 1_024) / n);
  console.log(`| ${attack} | ${n} | ${before.toFixed(0)} | ${after.toFixed(0)} | ${each} | ${note} |`);
}
if (failures() > 0) {
  console.log(`\n${failures()} checks failed.`);
  process.exitCode = 1;
}
