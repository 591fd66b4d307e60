/** Open files: workerd takes two for every socket. A limit that is too low is raised by starting again under a higher one. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What the largest scenario needs: 5,000 sockets in workerd, and some. */
const NEEDED = 10_500;

/** Goes on when the limit is high enough; else becomes the process that waits for one with a higher limit. */
export function raiseDescriptors(): void {
  const [soft = 0, hard = 0] = limits();
  if (soft >= NEEDED) return;
  if (hard < NEEDED) {
    console.log(
      `Open files are limited to ${hard}: scenarios with thousands of sockets will fail (they need ${NEEDED}).`,
    );
    return;
  }
  const command = `ulimit -n ${hard === Infinity ? NEEDED : hard} && exec "$0" "$@"`;
  const { status } = spawnSync("bash", ["-c", command, process.execPath, ...process.argv.slice(1)], {
    stdio: "inherit",
  });
  process.exit(status ?? 1);
}

function limits(): number[] {
  const line = /^Max open files\s+(\S+)\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"));
  return [line?.[1], line?.[2]].map((value) => (value === "unlimited" ? Infinity : Number(value)));
}
