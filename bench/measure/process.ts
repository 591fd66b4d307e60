/** Reads the CPU time, memory and wake-ups of a process from /proc. Linux only. */
import { readdirSync, readFileSync } from "node:fs";

/** A process at one moment. */
export interface Snapshot {
  /** CPU time of all its threads since it started, user and system, in ms. */
  readonly cpu: number;
  /** Resident memory in bytes. */
  readonly rss: number;
  /** How often its threads have gone to sleep, and so were woken. */
  readonly sleeps: number;
}

/** Clock ticks per second in /proc, the same for every program on Linux. */
const TICKS = 100;
const PAGE = 4_096;

/** Reads a process. Throws when it does not exist. */
export function snapshot(pid: number): Snapshot {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in parentheses can contain any character.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS;
  let fine = 0;
  let sleeps = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      fine += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]) / 1e6;
      const status = readFileSync(`/proc/${pid}/task/${task}/status`, "utf8");
      sleeps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    } catch {
      // The thread has just ended.
    }
  }
  return { cpu: finer(ticks, fine), rss: Number(fields[21]) * PAGE, sleeps };
}

/** utime + stime has steps of 10 ms. The scheduler's own sum has not, but loses the threads that have ended. */
function finer(ticks: number, fine: number): number {
  return Math.abs(ticks - fine) < 30 + ticks * 0.02 ? fine : ticks;
}
