// `npm run lock`: adds to package-lock.json the optional packages of other platforms that npm left out, with their
// integrity. npm drops those that do not fit this machine, and then refuses its own lock file (`npm ci`: "Missing: ...").
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const file = join(import.meta.dirname, "../package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
const { packages } = lock;
/** Registry look-ups at once. */
const AT_ONCE = 4;

const missing = Object.entries(packages)
  .filter(([path]) => path !== "")
  .flatMap(([path, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !packages[`${path}/node_modules/${name}`]?.integrity)
      .filter(([name]) => !packages[`node_modules/${name}`]?.integrity),
  );

async function addMissing() {
  for (let next = missing.pop(); next; next = missing.pop()) {
    const [name, version] = next;
    packages[`node_modules/${name}`] = await entryOf(name, version);
    added++;
  }
}

/** The entry that npm itself would write on a machine of that platform. */
async function entryOf(name, version) {
  const fields = ["version", "dist.integrity", "cpu", "license", "os", "engines", "libc"];
  const { stdout } = await run("npm", ["view", `${name}@${version}`, ...fields, "--json"]);
  const { "dist.integrity": integrity, cpu, license, os, engines, libc, ...rest } = JSON.parse(stdout);
  if (!integrity) throw new Error(`the registry names no integrity of ${name}@${version}`);
  return {
    version: rest.version,
    integrity,
    ...(cpu && { cpu: [cpu].flat() }),
    dev: true,
    ...(libc && { libc: [libc].flat() }),
    ...(license && { license }),
    optional: true,
    ...(os && { os: [os].flat() }),
    ...(engines && { engines }),
  };
}

let added = 0;
await Promise.all(Array.from({ length: AT_ONCE }, addMissing));
const { "": root, ...rest } = packages;
lock.packages = { "": root, ...Object.fromEntries(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} packages of other platforms added`);
