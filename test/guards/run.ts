/**
 * `npm run test:guards -- [--check] [part of a name]`: takes out one guard at a time, in a copy of the tree, and expects
 * the tests named with it to fail. Prints the table of docs/design.md. `--check` only looks whether every guard still
 * stands where its entry says: after a change of the code, that is what to mend first.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { around } from "./around.ts";
import { client } from "./client.ts";
import { edge } from "./edge.ts";
import { large } from "./large.ts";
import { line } from "./line.ts";
import type { Guard } from "./guard.ts";
import { members } from "./members.ts";
import { operating } from "./operating.ts";
import { packageGuards } from "./package.ts";
import { relays } from "./relays.ts";
import { room } from "./room.ts";
import { runtime } from "./runtime.ts";

const root = join(import.meta.dirname, "../..");
const { values, positionals } = parseArgs({ options: { check: { type: "boolean" } }, allowPositionals: true });
const known = [
  ...room,
  ...members,
  ...runtime,
  ...around,
  ...client,
  ...large,
  ...line,
  ...operating,
  ...edge,
  ...relays,
  ...packageGuards,
];
const guards = known.filter(({ name }) => positionals.every((part) => name.includes(part)));
if (guards.length === 0) throw new Error(`no guard is called ${positionals.join(" ")}`);

// Without a guard many waits are in vain; a quarter of the patience is still more than twice what anything takes.
const env = { TEST_PATIENCE: "0.25", ...process.env };
/** In place of the titles of a file in which no test could run. */
const UNLOADED = "it does not load";
const problems: string[] = [];

/** The guards that stand in their files, and whose tests are there. */
const standing = guards.filter(({ name, file, text, tests }) => {
  const path = join(root, file);
  const times = existsSync(path) ? readFileSync(path, "utf8").split(text).length - 1 : 0;
  if (times !== 1) problems.push(`${name}: its text stands ${times} times in ${file}`);
  const absent = tests.filter((test) => !existsSync(join(root, "test", test)));
  if (absent.length > 0) problems.push(`${name}: there is no test/${absent.join(", no test/")}`);
  return times === 1 && absent.length === 0;
});

if (!values.check) {
  const tree = mkdtempSync(join(tmpdir(), "edgerooms-guards-"));
  process.on("exit", () => rmSync(tree, { recursive: true, force: true }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));
  const left = new Set([".git", "node_modules", "dist", ".wrangler", ".dev.vars"]);
  cpSync(root, tree, { recursive: true, filter: (path) => !left.has(relative(root, path)) });
  symlinkSync(join(root, "node_modules"), join(tree, "node_modules"));
  takeOut(tree);
}

for (const problem of problems) console.log(problem);
const done = values.check ? `${standing.length} guards stand where they should.` : "Every guard is tested.";
console.log(problems.length === 0 ? done : `${problems.length} problems.`);
process.exit(problems.length === 0 ? 0 : 1);

/** One after the other; but first everything as it is, or a test that is red anyway would pass for one that notices. */
function takeOut(tree: string): void {
  const all = [...new Set(standing.flatMap(({ tests }) => tests))];
  const before = failures(tree, all);
  const red = [...before].map(([file, titles]) => `with every guard in place, ${file} fails: ${titles.join("; ")}`);
  if (red.length > 0) {
    problems.push(...red);
    return;
  }
  console.log("| Guard | Test that fails without it |\n| --- | --- |");
  for (const guard of standing) {
    const { name, tests } = guard;
    const found = withoutGuard(tree, guard);
    // Code that does not even load is caught by anything: such an entry shows nothing.
    const deaf = tests.filter((test) => found.get(test)?.includes(UNLOADED) ?? true);
    if (deaf.length > 0) problems.push(`${name}: nothing fails in test/${deaf.join(", test/")}`);
    const [first = "NONE", ...more] = new Set([...found.values()].flat());
    console.log(`| ${name} | ${first}${more.length > 0 ? ` and ${more.length} more` : ""} |`);
  }
}

function withoutGuard(tree: string, { file, text, without, tests }: Guard): ReadonlyMap<string, readonly string[]> {
  const path = join(tree, file);
  const source = readFileSync(path, "utf8");
  writeFileSync(
    path,
    source.replace(text, () => without),
  );
  try {
    return failures(tree, tests);
  } finally {
    writeFileSync(path, source);
  }
}

/** Runs test files; returns by file, below test/, what failed in it. See UNLOADED, too. */
function failures(tree: string, tests: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const report = join(tree, "report.json");
  rmSync(report, { force: true });
  const paths = tests.map((test) => `test/${test}`);
  const args = [
    "run",
    ...paths,
    "--project=unit",
    "--project=workerd",
    "--project=isolate",
    "--project=package",
    "--reporter=json",
    `--outputFile=${report}`,
  ];
  const run = spawnSync(join(root, "node_modules/.bin/vitest"), args, { cwd: tree, encoding: "utf8", env });
  if (!existsSync(report)) throw new Error(`vitest said nothing of ${paths.join()}:\n${run.stdout}${run.stderr}`);
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as {
    testResults: {
      name: string;
      status: string;
      message: string;
      assertionResults: { status: string; title: string }[];
    }[];
  };
  const failed = testResults.map(({ name, status, message, assertionResults }) => {
    const titles = assertionResults.filter((test) => test.status === "failed").map(({ title }) => title);
    if (status === "failed" && titles.length === 0) console.log(message);
    const whole = status === "failed" && titles.length === 0 ? [UNLOADED] : titles;
    return [relative(join(tree, "test"), name), whole] as const;
  });
  return new Map(failed.filter(([, titles]) => titles.length > 0));
}
