/** The real `npm start` in a process group of its own, on a free port and on storage of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ANY_PORTS } from "../support/port.ts";

const READY = /Ready on (http:\/\/\S+)/;

export class Server {
  readonly #storage = mkdtempSync(join(tmpdir(), "edgerooms-"));
  readonly #args: readonly string[];
  #process: ChildProcess | undefined;
  url = "";

  /** @param args more arguments for wrangler */
  constructor(args: readonly string[] = []) {
    this.#args = args;
  }

  async start(): Promise<void> {
    const given = [...ANY_PORTS, "--persist-to", this.#storage, ...this.#args];
    const child = spawn("npm", ["start", "--", ...given], {
      cwd: join(import.meta.dirname, "../.."),
      detached: true,
    });
    this.#process = child;
    let output = "";
    this.url = await new Promise<string>((resolve, reject) => {
      const listen = (chunk: Buffer) => {
        output += String(chunk);
        const ready = READY.exec(output);
        if (ready?.[1]) resolve(ready[1]);
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.on("exit", (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
    });
  }

  /** Kills every process of it at once, as a crash would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.on("exit", resolve));
    process.kill(-child.pid, "SIGKILL");
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.#storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** @param rooms what it allows where; default: an ordinary member everywhere */
  async token(sub: string, rooms?: Record<string, string[]>, ttl?: number): Promise<string> {
    const body = JSON.stringify({ sub, rooms, ttl });
    const response = await fetch(`${this.url}/dev/token`, { method: "POST", body });
    if (!response.ok) throw new Error(`no token: ${response.status} ${await response.text()}`);
    const { token } = await response.json<{ token: string }>();
    return token;
  }
}
