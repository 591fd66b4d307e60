/**
 * A Worker in a workerd process of its own, as the runtime ships it: no dev proxy, storage on disk, and a process id to
 * measure or to kill. What it runs is bundled from the source file it is given.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { eventually, patience } from "../support/patience.ts";
import { freePort } from "../support/port.ts";

/** A Worker and what it is bound to. */
export interface WorkerConfig {
  /** The source file of the Worker. */
  readonly entry: string;
  /** Durable Object bindings: from the name in `env` to the class. */
  readonly objects: Readonly<Record<string, string>>;
  /** Text bindings. */
  readonly vars?: Readonly<Record<string, string>>;
  /** Compatibility flags besides `no_web_socket_compression`. */
  readonly flags?: readonly string[];
  /** More arguments for workerd, such as `--experimental`. */
  readonly args?: readonly string[];
  /** A command that becomes workerd when it is given workerd's command line, to start it in other circumstances. */
  readonly via?: readonly string[];
}

// The package has no types, and says where its program is as its default export.
const { default: program } = createRequire(import.meta.url)("workerd") as { default: string };
const COMPATIBILITY_DATE = "2026-08-25";

/** What has to be ended and removed when this process ends, however it does. */
const leftovers = new Set<() => void>();
process.on("exit", () => {
  for (const remove of leftovers) remove();
});

/** One workerd process after another on the same storage and the same port. */
export class Workerd {
  readonly #config: WorkerConfig;
  readonly #folder = mkdtempSync(join(tmpdir(), "edgerooms-workerd-"));
  #process: ChildProcess | undefined;
  #port = 0;
  /** What the process printed since it was started. */
  output = "";

  readonly #remove = () => {
    this.#process?.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };

  constructor(config: WorkerConfig) {
    this.#config = config;
    leftovers.add(this.#remove);
  }

  /** Where it listens, once started: `http://127.0.0.1:port`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** The process id, to measure it by. Throws when it does not run. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error("workerd is not running");
    return pid;
  }

  /** Where the objects' storage lies. */
  get storage(): string {
    return join(this.#folder, "storage");
  }

  /** Starts it, or starts it again after a {@link kill}; returns when it answers. */
  async start(): Promise<void> {
    if (this.#port === 0) {
      await this.#bundle();
      this.#port = await freePort();
      mkdirSync(this.storage, { recursive: true });
      writeFileSync(join(this.#folder, "config.capnp"), this.#capnp());
    }
    this.output = "";
    const args = ["serve", join(this.#folder, "config.capnp"), ...(this.#config.args ?? [])];
    const [command = program, ...rest] = [...(this.#config.via ?? []), program, ...args];
    const child = spawn(command, rest, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (this.output += String(chunk)));
    const become = async () => {
      if (child.exitCode !== null) return "ended";
      const response = await fetch(this.url, { signal: AbortSignal.timeout(patience(200)) }).catch((cause: unknown) => {
        throw new Error(`workerd does not answer:\n${this.output}`, { cause });
      });
      await response.arrayBuffer();
      return "ready";
    };
    if ((await eventually(become, { everyMs: 20 })) === "ended") {
      throw new Error(`workerd ended with ${child.exitCode}:\n${this.output}`);
    }
  }

  /** Ends the process at once, as a crash would. Storage stays. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  /** Ends it and removes its storage. */
  async stop(): Promise<void> {
    await this.kill();
    this.#remove();
    leftovers.delete(this.#remove);
  }

  async #bundle(): Promise<void> {
    await build({
      entryPoints: [this.#config.entry],
      outfile: join(this.#folder, "worker.js"),
      bundle: true,
      format: "esm",
      target: "es2024",
      conditions: ["workerd", "worker", "browser"],
      external: ["cloudflare:*", "workerd:*", "node:*"],
      logLevel: "error",
    });
  }

  #capnp(): string {
    const { objects, vars = {}, flags = [] } = this.#config;
    const text = (value: string) => JSON.stringify(value);
    const classes = [...new Set(Object.values(objects))];
    const bindings = [
      ...Object.entries(objects).map(
        ([name, cls]) => `( name = ${text(name)}, durableObjectNamespace = ${text(cls)} )`,
      ),
      ...Object.entries(vars).map(([name, value]) => `( name = ${text(name)}, text = ${text(value)} )`),
    ];
    const namespaces = classes.map((cls) => `( className = ${text(cls)}, uniqueKey = ${text(cls)}, enableSql = true )`);
    return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = .main ),
    ( name = "disk", disk = ( path = ${text(this.storage)}, writable = true ) ),
    ( name = "internet", network = ( allow = ["public", "private", "local"], tlsOptions = ( trustBrowserCas = true ) ) ),
  ],
  sockets = [ ( name = "http", address = "127.0.0.1:${this.#port}", http = (), service = "main" ) ]
);
const main :Workerd.Worker = (
  modules = [ ( name = "worker", esModule = embed "worker.js" ) ],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = [${["no_web_socket_compression", ...flags].map(text).join(", ")}],
  bindings = [ ${bindings.join(", ")} ],
  durableObjectNamespaces = [ ${namespaces.join(", ")} ],
  durableObjectStorage = ( localDisk = "disk" ),
);
`;
  }
}
