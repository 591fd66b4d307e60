/** Gives a batch of events to the user's outlet, and waits for what comes of it no longer than an outlet may take. */
import { withTimeout } from "../../protocol/with-timeout.ts";
import type { Batch, Outlet } from "../outlet.ts";
import { OutletRefused } from "../outlet.ts";
import type { Delivered } from "../store/outbox.ts";
import { codeOfOutlet } from "../telemetry/failure.ts";
import type { Platform } from "./platform.ts";

/** After this an outlet that has not answered has failed; webhooks of our own give up sooner. */
const PATIENCE_MS = 30_000;

/** Gives a batch to an outlet. Never throws. */
export async function handOver(
  batch: Batch,
  outlet: Outlet<never> | undefined,
  env: unknown,
  platform: Platform,
): Promise<{ outcome: Delivered; error?: unknown }> {
  try {
    // The tick's own messages go out first: they do not wait for anybody's code.
    await Promise.resolve();
    if (!outlet) throw new Error("there is no outlet any more");
    // Sound: an outlet is written for the environment that its Worker has.
    const taken = outlet(batch, env as never);
    await withTimeout(taken, "the outlet", PATIENCE_MS, (ms, run) => platform.later(ms, run));
    return { outcome: { ok: true } };
  } catch (error) {
    return { outcome: { ok: false, code: codeOfOutlet(error), final: error instanceof OutletRefused }, error };
  }
}
