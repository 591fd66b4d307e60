/** What is attacked: a plain workerd process, what it holds, and a list of checks that can fail. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { Workerd } from "../serve/workerd.ts";
import type { Counts } from "./worker.ts";

const SECRET = "a secret of the attacked, as long as it has to be";

/** A workerd of our own, started. */
export async function target(): Promise<Workerd> {
  const workerd = new Workerd({
    entry: join(import.meta.dirname, "worker.ts"),
    objects: { ROOM: "AttackedRoom", TINY: "TinyRoom" },
    vars: { AUTH_SECRET: SECRET },
  });
  await workerd.start();
  return workerd;
}

/** A token of the attacked. */
export async function sign(user: string, grants?: readonly string[]): Promise<string> {
  return new SignJWT(grants ? { rooms: { "*": grants } } : {})
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}

/** Megabytes that a process has in memory. */
export function memory(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0;
  return Number(kilobytes) / 1_024;
}

/** File descriptors that a process has open: two per socket. */
export function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Files of rooms on disk: each room that ever woke has some. */
export function storedRooms(workerd: Workerd): number {
  return readdirSync(workerd.storage, { recursive: true }).filter((name) => String(name).endsWith(".sqlite")).length;
}

/** What a room holds, as it says itself. `path` is `kind/room`. */
export async function counts(workerd: Workerd, path: string): Promise<Counts> {
  const response = await fetch(`${workerd.url}/counts/${path}`);
  if (!response.ok) throw new Error(`no counts: ${response.status} ${await response.text()}\n${workerd.output}`);
  return response.json<Counts>();
}

let failed = 0;

/** One attack: its name, and what must hold whatever it does. */
export async function check(title: string, run: () => Promise<string | void>): Promise<void> {
  const started = performance.now();
  try {
    const note = await run();
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    console.log(`ok    ${title} (${seconds} s)${note ? `: ${note}` : ""}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${title}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** How many checks failed so far. */
export function failures(): number {
  return failed;
}
