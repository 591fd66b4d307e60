// Checks that a tool runs on the Node.js of scripts/node/package.json, and ends the process with a message when it does
// not. The scripts of package.json preload it (`node --import ./scripts/node.mjs`), vitest.config.ts and start.mjs import it.
// npm puts node_modules/.bin in front of PATH: when the package is missing there, the machine's own Node.js runs.
import { readFileSync } from "node:fs";

const { version, optionalDependencies } = JSON.parse(
  readFileSync(new URL("./node/package.json", import.meta.url), "utf8"),
);
const system = process.platform === "win32" ? "win" : process.platform;
const isPacked = `node-${system}-${process.arch}` in optionalDependencies;
const running = process.versions.node;
// Where no package exists, such as on macOS, the machine must bring the same major version.
const fits = isPacked ? running === version : running.split(".")[0] === version.split(".")[0];

if (!fits) {
  console.error(
    isPacked
      ? `The tools run on Node.js ${version} of node_modules, and this is ${running} at ${process.execPath}.\n` +
          "Run `npm ci` (it may have left out optional packages), and start tools with `npm run` or `npx`."
      : `The tools run on Node.js ${version.split(".")[0]}, and this is ${running} at ${process.execPath}.\n` +
          `npm has no package of it for ${process.platform} ${process.arch}: install it on the machine.`,
  );
  process.exit(1);
}
