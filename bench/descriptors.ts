/** The limit of open files: workerd needs two for every socket. Under a low limit the bench starts itself again. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What the largest scenario of most runs needs: 5,000 sockets in workerd, and some files more. */
const NEEDED = 10_500;

/**
 * Returns when the limit is high enough. If not, runs the bench again under a higher limit, and ends with it.
 *
 * @param needed files that the run opens in one process, at most
 */
export function raiseDescriptors(needed = NEEDED): void {
  const [soft = 0, hard = 0] = limits();
  if (soft >= needed) return;
  if (hard < needed) {
    console.log(
      `Open files are limited to ${hard}: scenarios with thousands of sockets will fail (they need ${needed}).`,
    );
    return;
  }
  const command = `ulimit -n ${hard === Infinity ? needed : hard} && exec "$0" "$@"`;
  const { status } = spawnSync("bash", ["-c", command, process.execPath, ...process.argv.slice(1)], {
    stdio: "inherit",
  });
  process.exit(status ?? 1);
}

function limits(): number[] {
  const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return [line?.[1], line?.[2]].map((value) => (value === "unlimited" ? Infinity : Number(value)));
}
