/**
 * `npm run bench`: installs what is missing, then runs rivals side by side and prints ratios. Flags:
 * `--quick` the short run of CI, `--growth` how cost grows, `--check` fail when a budget is missed,
 * `--only <regex>` scenarios, `--rivals a,b`, `--rounds n`, `--out <name>` of the result file, `--report` into docs/.
 * `cost` and `plots` as the first word: the other two commands.
 */
import { parseArgs } from "node:util";
import { raiseDescriptors } from "./descriptors.ts";
import { install } from "./install.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    growth: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
    report: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    rivals: { type: "string", default: "" },
    rounds: { type: "string", default: "3" },
    out: { type: "string", default: "" },
  },
});

raiseDescriptors();
install();
// What is imported here needs the packages that have just been installed.
if (positionals[0] === "cost") await (await import("./cost/main.ts")).cost(values);
else if (positionals[0] === "plots") await (await import("./report/plots.ts")).plots();
else await (await import("./bench.ts")).bench(values);
process.exit();
