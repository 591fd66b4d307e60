/** Installs the packages of bench/ when they are missing or older than its lock file. */
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";

const at = (path: string) => join(import.meta.dirname, path);

/** Installs when needed. Ends the process when that fails. */
export function install(): void {
  if (timeOf("node_modules/.package-lock.json") >= timeOf("package-lock.json")) return;
  console.log("Installing what only the bench needs (npm ci in bench/)");
  const { status } = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: import.meta.dirname,
    stdio: "inherit",
  });
  if (status !== 0) process.exit(status ?? 1);
}

function timeOf(path: string): number {
  return statSync(at(path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
