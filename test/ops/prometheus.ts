/** A real Prometheus (Debian's) on a free port, which scrapes one target each second. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../support/patience.ts";

/** One series of an answer. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export class Prometheus {
  readonly #folder = mkdtempSync(join(tmpdir(), "edgerooms-prometheus-"));
  #process: ChildProcess | undefined;
  #url = "";

  /** @param token what the scraper shows as its bearer */
  async start(target: string, token: string): Promise<void> {
    const at = (name: string) => join(this.#folder, name);
    writeFileSync(at("token"), token, { mode: 0o600 });
    const config = {
      global: { scrape_interval: "1s", scrape_timeout: "1s" },
      scrape_configs: [
        {
          job_name: "edgerooms",
          authorization: { credentials_file: at("token") },
          static_configs: [{ targets: [new URL(target).host] }],
        },
      ],
    };
    // JSON is YAML.
    writeFileSync(at("prometheus.yml"), JSON.stringify(config));
    const child = spawn("prometheus", [
      `--config.file=${at("prometheus.yml")}`,
      `--storage.tsdb.path=${at("data")}`,
      "--web.listen-address=127.0.0.1:0",
    ]);
    this.#process = child;
    let output = "";
    this.#url = await new Promise<string>((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        output += String(chunk);
        const listening = /msg="Listening on" address=(127\.0\.0\.1:[1-9]\d*)/.exec(output);
        if (listening?.[1]) resolve(`http://${listening[1]}`);
      });
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`prometheus ended with ${code}:\n${output}`)));
    });
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.pid !== undefined && child.exitCode === null) {
      const gone = new Promise((resolve) => child.on("exit", resolve));
      child.kill("SIGKILL");
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** What an expression is now. */
  async query(expr: string): Promise<Sample[]> {
    const response = await fetch(`${this.#url}/api/v1/query?${String(new URLSearchParams({ query: expr }))}`);
    const body = await response.json<{
      status: string;
      error?: string;
      data?: { result: readonly { metric: Record<string, string>; value: readonly [number, string] }[] };
    }>();
    if (body.status !== "success" || !body.data) throw new Error(`${expr}: ${body.error}`);
    return body.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
  }

  /** Asks until the sum over the series of an expression is as it should be. */
  async until(expr: string, condition: (sum: number) => boolean): Promise<void> {
    await eventually(
      async () => {
        // Prometheus is not ready to answer in its first moments: that throws, too.
        const samples = await this.query(expr);
        const total = samples.reduce((sum, { value }) => sum + value, 0);
        if (samples.length === 0 || !condition(total)) throw new Error(`${expr} is ${total}`);
      },
      { aloneMs: 5_000, everyMs: 250 },
    );
  }
}
