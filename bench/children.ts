/** Processes of the bench: every one is known to the reaper, so that none outlives a bench that was killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let reaper: ChildProcess | undefined;

function tell(line: string): void {
  reaper ??= spawn(process.execPath, [join(import.meta.dirname, "reaper.ts")], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  reaper.unref();
  reaper.stdin?.write(`${line}\n`);
}

/** This process must not outlive the bench. */
export function adopt(pid: number): void {
  tell(`+p${pid}`);
}

/** It has ended; its number may be somebody else's from now on. */
export function release(pid: number): void {
  tell(`-p${pid}`);
}

/** This folder must not outlive the bench. */
export function adoptFolder(folder: string): void {
  tell(`+f${folder}`);
}

/** A folder that is gone when the bench is. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "edgerooms-bench-"));
  adoptFolder(folder);
  return folder;
}

/** Starts one of our own scripts, with a channel for messages. */
export function startScript(path: string, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, path), ...args], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  if (child.pid !== undefined) adopt(child.pid);
  return child;
}

/** Ends a process and waits for its end. */
export async function end(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }
  if (pid !== undefined) release(pid);
}
