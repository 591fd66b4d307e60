/**
 * A process that outlives the bench by a moment. The bench reports every process and folder to it. When the bench is
 * gone, for any reason, it ends and removes what is left.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const pids = new Set<number>();
const folders = new Set<string>();

// Ctrl-C reaches the whole group. Only the end of the pipe counts.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const value = line.slice(2);
  if (line.startsWith("+p")) pids.add(Number(value));
  else if (line.startsWith("-p")) pids.delete(Number(value));
  else if (line.startsWith("+f")) folders.add(value);
});
lines.on("close", () => {
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has already ended.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
