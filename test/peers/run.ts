/**
 * `npm run peers`: peers that vanish, come back or stop reading, against our Worker in plain workerd. Prints what was
 * measured beside what is promised, and fails when a bound is broken or anything of a peer stays.
 *
 * --megabytes 20   how much is published past the stalled readers (default 200, a tenth of it again in small items)
 * --rounds 3       how often, each with a control
 * --slow           also rooms with a heartbeat every 5 s and every 12 s: two minutes more
 * --seed 1         of the random moments
 * --report FILE    writes the result between the marks in this Markdown file
 */
import { parseArgs } from "node:util";
import { randomFrom } from "../support/random.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { Findings, writeReport } from "./findings.ts";
import { vanishWhileIdle } from "./idle.ts";
import { past } from "./past.ts";
import { restart } from "./restart.ts";
import { killed, returns } from "./returns.ts";
import { noticedIdleWithin, noticedWithin } from "./rhythms.ts";
import { unread } from "./unread.ts";
import { vanish, vanishAsleep, vanishWithData } from "./vanish.ts";
import { World } from "./world.ts";

const BIG = 60_000;
const SMALL = 1_000;

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "200" },
    rounds: { type: "string", default: "3" },
    slow: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
    report: { type: "string" },
  },
});
const megabytes = Number(values.megabytes);
const rounds = Number(values.rounds);
if (!(megabytes > 0 && rounds > 0)) throw new RangeError("--megabytes and --rounds are numbers above 0");

const findings = new Findings();
const random = randomFrom(Number(values.seed));

const world = await World.open();
await vanish(world, "quick", findings, random);
await vanishWithData(world, findings);
await vanishWhileIdle(world, findings, random);
if (values.slow) await Promise.all([vanish(world, "steady", findings, random), vanishAsleep(world, findings)]);
await killed(world, findings);
await returns(world, findings);
await unread(world, findings);
await world.close();
await restart(findings);
await past({ bytes: megabytes * 1e6, size: BIG }, rounds, findings);
await past({ bytes: (megabytes * 1e6) / 10, size: SMALL }, rounds, findings);

const { heartbeat, grace } = defineRoom({});
const seconds = (noticed: number) => Math.round((noticed + grace) / 1_000);
findings.fact(
  true,
  "By the same formulas, + grace, a room with the default definition tells of a vanished peer within " +
    `${seconds(noticedWithin(heartbeat))} s while it is used and within ${seconds(noticedIdleWithin(heartbeat))} s when ` +
    "it has idled for long.",
);

const args = process.argv.slice(2).filter((arg, i, all) => arg !== "--report" && all[i - 1] !== "--report");
const command = ["npm run peers", ...(args.length > 0 ? ["--", ...args] : [])].join(" ");
if (values.report !== undefined) await writeReport(values.report, findings.markdown(command));
else console.log(`\n${findings.markdown(command)}`);
if (findings.broken.length > 0) {
  console.error(`\n${findings.broken.length} did not hold:\n${findings.broken.join("\n")}`);
  process.exitCode = 1;
}
