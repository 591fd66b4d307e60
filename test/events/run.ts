/**
 * `npm run events`: a receiver of events that is down for minutes, and rooms that are killed meanwhile. Fails when an
 * event is lost, comes in another order, or comes again as something else.
 *
 * --minutes 3   for how long people publish (default 1)
 * --kills 5     how often workerd is killed meanwhile
 * --seed 1      of the moments
 */
import { parseArgs } from "node:util";
import { run } from "./trial.ts";

// What workerd.ts removes when the process ends, it removes then too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    kills: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
  },
});
const [minutes, kills, seed] = [values.minutes, values.kills, values.seed].map(Number) as [number, number, number];
if (!(minutes > 0 && kills >= 0)) throw new RangeError("--minutes is a number above 0, --kills one of 0 or more");

const outcome = await run({ time: minutes * 60_000, kills, seed, say: (line) => console.log(line) });
const { happened, lost, invented, reordered, duplicates, acknowledged, broken, down, caughtUp, answered, wrong } =
  outcome;
for (const line of wrong.slice(0, 20)) console.error(line);
console.log(
  `${happened} events, ${acknowledged} publications acknowledged, receiver down ${(down / 1_000).toFixed(0)} s, ` +
    `workerd killed ${kills} times: lost ${lost}, invented ${invented}, reordered ${reordered}, ` +
    `acknowledged but not delivered ${broken}, duplicates ${duplicates} (wrong signature or other body ${wrong.length}), ` +
    `requests ${JSON.stringify(answered)}, caught up after ${(caughtUp / 1_000).toFixed(1)} s (seed ${seed})`,
);
if (lost + invented + reordered + broken + wrong.length > 0) process.exitCode = 1;
// The SDK's clients may still be saying good-bye.
process.exit();
