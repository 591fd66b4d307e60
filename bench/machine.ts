/** The circumstances of a run: the machine, versions, the commit. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import type { Circumstances } from "./sample.ts";

const root = join(import.meta.dirname, "..");

/** The circumstances, except how long the run took. */
export function circumstances(): Omit<Circumstances, "seconds"> {
  const all = cpus();
  const [cpu] = all;
  return {
    date: new Date().toISOString(),
    commit: output("git", ["-C", root, "rev-parse", "--short", "HEAD"]) + (isDirty() ? ", with changes" : ""),
    command: ["npm run bench", ...(process.argv.length > 2 ? ["--", ...process.argv.slice(2)] : [])].join(" "),
    cpu: cpu?.model.trim() ?? "unknown",
    cores: all.length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    kernel: `Linux ${release()}`,
    versions: {
      node: process.versions.node,
      workerd: versionOf("../node_modules/workerd"),
      ws: versionOf("node_modules/ws"),
      partyserver: versionOf("node_modules/partyserver"),
      "socket.io": versionOf("node_modules/socket.io"),
      go: output("go", ["version"]).split(" ")[2]?.slice(2) ?? "",
    },
  };
}

function isDirty(): boolean {
  return output("git", ["-C", root, "status", "--porcelain", "--", "src", "bench", "test/serve"]) !== "";
}

function output(command: string, args: readonly string[]): string {
  return spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";
}

function versionOf(folder: string): string {
  const text = readFileSync(join(import.meta.dirname, folder, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
