/** The client processes, seen from the main process: started, ordered about, asked how they are, ended. */
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { Order, Plan, Report, Status } from "./orders.ts";
import { clock } from "./record.ts";

/** All of them. */
export class Fleet {
  readonly #children: ChildProcess[] = [];
  readonly #homes = new Map<string, ChildProcess>();
  readonly #statuses = new Map<ChildProcess, readonly Status[]>();
  readonly #records: string[] = [];
  #ending = false;

  /** Starts `processes` of them and spreads the clients. */
  async start(plans: readonly Plan[], processes: number, folder: string, secret: string): Promise<void> {
    for (let i = 0; i < processes; i++) {
      const child = fork(join(import.meta.dirname, "process.ts"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
      this.#children.push(child);
      child.on("message", (report: Report) => {
        if (report.report === "status") this.#statuses.set(child, report.clients);
      });
      child.on("exit", (code, signal) => {
        if (!this.#ending) throw new Error(`client process ${i} ended with ${code ?? signal}`);
      });
      await heard(child, "ready");
      const mine = plans.filter((_, k) => k % processes === i);
      for (const { name } of mine) this.#homes.set(name, child);
      const record = join(folder, `clients-${i}.jsonl`);
      this.#records.push(record);
      child.send({ order: "begin", plans: mine, record, base: clock.base, secret } satisfies Order);
    }
  }

  /** The files they write. */
  get records(): readonly string[] {
    return this.#records;
  }

  get statuses(): Status[] {
    return [...this.#statuses.values()].flat();
  }

  /** To the process that has the client. */
  order(order: Order & { readonly client: string }): void {
    this.#homes.get(order.client)?.send(order);
  }

  all(order: Order): void {
    if (this.#ending) return;
    for (const child of this.#children) if (child.connected) child.send(order);
  }

  /** Has everything written down. */
  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        const ended = heard(child, "ended");
        child.send({ order: "end" } satisfies Order);
        await ended;
      }),
    );
    this.kill();
  }

  /** At once. */
  kill(): void {
    this.#ending = true;
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

async function heard(child: ChildProcess, what: Report["report"]): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const listen = (report: Report) => {
      if (report.report !== what) return;
      child.off("message", listen);
      resolve();
    };
    child.on("message", listen);
    child.once("exit", (code) => reject(new Error(`a client process ended with ${code}`)));
  });
}
