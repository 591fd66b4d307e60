/**
 * A project of a user: the packed package and what else is named, installed by npm from the registry without install
 * scripts, and its Worker under its own wrangler.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { inject } from "vitest";
import { patience } from "../support/patience.ts";
import { ANY_PORTS } from "../support/port.ts";

const READY = /Ready on (http:\/\/\S+)/;
const SECRET = "a secret for tests only, as long as it has to be";

/** What a program takes alone at most: an install of everything, from an empty cache. */
const PROGRAM_MS = 30_000;

/** What a program that ran said. `code` is null for one that did not end in time. */
export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A project in a folder of its own. */
export class Installed {
  readonly folder = mkdtempSync(join(tmpdir(), "edgerooms-installed-"));
  // Its own programs first, then this Node.js, then the machine's.
  readonly #path = [join(this.folder, "node_modules/.bin"), dirname(process.execPath), process.env["PATH"]];
  readonly #env = {
    ...process.env,
    PATH: this.#path.join(delimiter),
    NO_COLOR: "1",
    WRANGLER_SEND_METRICS: "false",
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
  };
  #server: ChildProcess | undefined;

  /** Installs the package and others (`name@version`). Throws with npm's words when npm refuses. */
  install(...others: readonly string[]): void {
    writeFileSync(join(this.folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
    const said = this.run("npm", "install", ...quiet, inject("packed").tarball, ...others);
    if (said.code !== 0) throw new Error(said.err);
  }

  /** Copies the first room of the README into it, with what it needs to run. */
  copyProject(): void {
    cpSync(join(import.meta.dirname, "project"), this.folder, { recursive: true });
    writeFileSync(join(this.folder, ".dev.vars"), `AUTH_SECRET="${SECRET}"\nENVIRONMENT=development\n`);
  }

  /** Runs a program of it to its end. */
  run(program: string, ...args: readonly string[]): Said {
    const { status, stdout, stderr } = spawnSync(program, args, {
      cwd: this.folder,
      env: this.#env,
      encoding: "utf8",
      timeout: patience(PROGRAM_MS),
    });
    return { code: status, out: stdout, err: stderr };
  }

  /** Starts its Worker with its own wrangler. Returns the address. */
  async dev(): Promise<string> {
    const child = spawn("wrangler", ["dev", "--ip", "127.0.0.1", ...ANY_PORTS], {
      cwd: this.folder,
      env: this.#env,
      detached: true,
    });
    this.#server = child;
    let output = "";
    return new Promise((resolve, reject) => {
      const listen = (chunk: Buffer) => {
        output += String(chunk);
        const ready = READY.exec(output);
        if (ready?.[1]) resolve(ready[1]);
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.on("exit", (code) => reject(new Error(`wrangler ended with ${code}:\n${output}`)));
    });
  }

  /** Ends the Worker and removes the project. */
  async remove(): Promise<void> {
    const child = this.#server;
    if (child?.pid !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.on("exit", resolve));
      process.kill(-child.pid, "SIGKILL");
      await gone;
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
