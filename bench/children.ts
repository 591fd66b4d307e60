/** The processes of the bench. The reaper knows each of them, so that none outlives a bench that was killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

let reaper: ChildProcess | undefined;

function report(line: string): void {
  reaper ??= spawn(process.execPath, [join(import.meta.dirname, "reaper.ts")], {
    stdio: ["pipe", "ignore", "inherit"],
  });
  reaper.unref();
  reaper.stdin?.write(`${line}\n`);
}

/** Reports a process that must not outlive the bench. */
export function adopt(pid: number): void {
  report(`+p${pid}`);
}

/** Reports that a process has ended: another may get its number. */
export function release(pid: number): void {
  report(`-p${pid}`);
}

/** Reports a folder that must not outlive the bench. */
export function adoptFolder(folder: string): void {
  report(`+f${folder}`);
}

/** Makes a folder that is removed when the bench ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "edgerooms-bench-"));
  adoptFolder(folder);
  return folder;
}

/** Starts a script of the bench, with a channel for messages. */
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
