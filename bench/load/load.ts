/** The bench's side of the generator: starts the process, gives it jobs, waits for readings. */
import { end, startScript } from "../children.ts";
import type { ChildProcess } from "node:child_process";
import type { Answer, Job, Reading } from "./jobs.ts";

/** A generator process with its own crowd. */
export class Load {
  readonly #child: ChildProcess = startScript("load/generator.ts", []);

  /** Does one job. Rejects when anything was lost, doubled, out of order or disconnected. */
  run(job: Job): Promise<Reading> {
    return new Promise((resolve, reject) => {
      const over = (code: number | null) => reject(new Error(`the generator ended with ${code}`));
      this.#child.once("exit", over);
      this.#child.once("message", (message) => {
        this.#child.off("exit", over);
        const answer = message as Answer;
        if (answer.ok) resolve(answer.reading);
        else reject(new Error(`${job.type}: ${answer.error}`));
      });
      this.#child.send(job);
    });
  }

  /** Ends the process and its connections. */
  stop(): Promise<void> {
    return end(this.#child);
  }
}
