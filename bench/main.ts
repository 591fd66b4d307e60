/**
 * `npm run bench`: installs what is missing, then runs rivals side by side and prints ratios. The first word chooses
 * another command: `credit` (our room with and without credit), `relays` (rooms over several objects), `cost`, `plots`. Flags: `--quick` for the short run of
 * CI, `--growth` for how costs grow, `--check` to fail when a budget is missed, `--only <regex>` for some scenarios,
 * `--rivals a,b`, `--rounds n`, `--out <name>` of the result file, `--report` to write the tables of docs/.
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

const [command = "bench"] = positionals;
// 9,800 sockets, two files each.
raiseDescriptors(command === "relays" && !values.quick ? 19_800 : undefined);
install();
// These modules need the packages that have just been installed.
if (command === "cost") await (await import("./cost/main.ts")).cost(values);
else if (command === "plots") await (await import("./report/plots.ts")).plots();
else if (command === "relays") await (await import("./relays/main.ts")).relays(values);
else if (command === "bench" || command === "credit") {
  await (await import("./bench.ts")).bench({ ...values, credit: command === "credit" });
} else throw new Error(`invalid command ${command}: one of credit, relays, cost, plots, or none`);
process.exit();
