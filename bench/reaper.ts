/**
 * Outlives the bench by a moment: is told of every process that is started and of every folder that is made, and when
 * the bench is gone, however it went, ends what is still there.
 */
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";

const pids = new Set<number>();
const folders = new Set<string>();

// Ctrl-C reaches the whole group; the end of the pipe is what counts.
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
      // It has ended by itself.
    }
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
