/** `wrangler dev` of a Worker and of the tail Worker in ops/otlp, in a process group of its own, on a free port and storage of its own. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ANY_PORTS } from "../support/port.ts";

const ROOT = join(import.meta.dirname, "../..");
const WRANGLER = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
const READY = /Ready on (http:\/\/\S+)/;

export class Wrangler {
  readonly #storage = mkdtempSync(join(tmpdir(), "edgerooms-ops-"));
  #process: ChildProcessWithoutNullStreams | undefined;
  url = "";
  output = "";

  /**
   * @param config path from the repository's root of the Worker that answers requests
   * @param vars for the tail Worker of ops/otlp, in place of those in its file
   */
  async start(config: string, vars: Readonly<Record<string, string>>): Promise<void> {
    const args = ["-c", config, "-c", this.#tail(vars)];
    const child = spawn(
      process.execPath,
      [WRANGLER, "dev", "--ip", "127.0.0.1", ...ANY_PORTS, "--persist-to", this.#storage, ...args],
      { cwd: ROOT, detached: true, env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: "false" } },
    );
    this.#process = child;
    this.url = await new Promise<string>((resolve, reject) => {
      const listen = (chunk: Buffer) => {
        this.output += String(chunk);
        const ready = READY.exec(this.output);
        if (ready?.[1]) resolve(ready[1]);
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.on("exit", (code) => reject(new Error(`wrangler ended with ${code}:\n${this.output}`)));
    });
  }

  /** Waits for a text in what it prints. The runner's own time limit ends it. */
  async says(text: string): Promise<void> {
    if (!this.#process) throw new Error("not started");
    const { stderr } = this.#process;
    while (!this.output.includes(text)) await once(stderr, "data");
  }

  /** `--var` reaches the first Worker only: the tail's file is written anew, all but its variables as it stands. */
  #tail(vars: Readonly<Record<string, string>>): string {
    const folder = join(ROOT, "ops/otlp");
    const lines = readFileSync(join(folder, "wrangler.toml"), "utf8")
      .replace('main = "', `main = "${folder}/`)
      .replaceAll(/^[A-Z_]+ = .*$/gm, "");
    const path = join(this.#storage, "tail.toml");
    const given = Object.entries(vars).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`);
    writeFileSync(path, lines + given.join(""));
    return path;
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.pid !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.on("exit", resolve));
      process.kill(-child.pid, "SIGKILL");
      await gone;
    }
    rmSync(this.#storage, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
