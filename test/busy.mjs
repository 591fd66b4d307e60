/**
 * `npm run test:busy -- [--times 5] [files and options of vitest]`: runs `npm test` again and again while busy loops take
 * every core, prints the times and what failed, and fails when anything did. A suite that is red here for want of
 * patience says nothing about the code.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
/** A loop ends by itself after an hour, or when this process has gone. */
const LOOP = `
  const parent = process.ppid;
  while (process.uptime() < 3_600 && process.ppid === parent) for (let i = 0; i < 1e7; i++);
`;

const rest = process.argv.slice(2);
const at = rest.indexOf("--times");
const times = at === -1 ? 5 : Number(rest.splice(at, 2)[1]);
if (!Number.isInteger(times) || times < 1) throw new TypeError("--times is a positive integer");

const folder = mkdtempSync(join(tmpdir(), "edgerooms-busy-"));
const loops = Array.from({ length: availableParallelism() }, () =>
  spawn(process.execPath, ["--eval", LOOP], { stdio: "ignore" }),
);
process.on("exit", () => {
  for (const loop of loops) loop.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(130));

/** One run: its line for the table. */
function run(n) {
  const report = join(folder, `${n}.json`);
  const args = ["test", "--", ...rest, "--reporter=json", `--outputFile=${report}`];
  const began = performance.now();
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 30 });
  const seconds = ((performance.now() - began) / 1_000).toFixed(0);
  let result;
  try {
    result = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return { isGreen: false, line: `run ${n}: ${seconds} s, no report\n${stdout}${stderr}` };
  }
  const failed = result.testResults.flatMap(({ name, message, assertionResults }) => {
    const tests = assertionResults.filter((test) => test.status === "failed");
    const lines = tests.map((test) => `  ${name}: ${test.fullName}\n    ${test.failureMessages[0]?.split("\n")[0]}`);
    // A file that could not be run at all has no tests.
    return message && tests.length === 0 ? [`  ${name}: ${message}`] : lines;
  });
  const isGreen = status === 0 && result.success && failed.length === 0 && result.numPassedTests > 0;
  const line = `run ${n}: ${seconds} s, ${result.numPassedTests} passed, ${failed.length} failed`;
  // Red without a failed test: an error outside of any, which only the output tells.
  const why = isGreen || failed.length > 0 ? failed : [stdout, stderr];
  return { isGreen, line: [line, ...why].join("\n") };
}

console.log(`${loops.length} busy loops (${loops.map(({ pid }) => pid).join(", ")}) on as many cores`);
let red = 0;
for (let n = 1; n <= times; n++) {
  const { isGreen, line } = run(n);
  console.log(line);
  if (!isGreen) red++;
}
console.log(red === 0 ? `Green ${times} times in a row.` : `${red} of ${times} runs failed.`);
process.exit(red === 0 ? 0 : 1);
