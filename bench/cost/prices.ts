/** What Cloudflare charges for Durable Objects: the table of prices, and the bill for a use. */
import type { Use } from "./meter.ts";

/** From developers.cloudflare.com/durable-objects/platform/pricing, paid plan, beyond what is included. */
export const PRICES = {
  asOf: "2026-11-23",
  /** Dollars for a million requests: upgrades, RPC calls, alarms, and WebSocket messages at 20 to 1. */
  requests: 0.15,
  messagesPerRequest: 20,
  /** Dollars for a million rows of SQL. */
  rowsRead: 0.001,
  rowsWritten: 1,
  /** Dollars for a million GB-s. An object counts as 128 MB whatever it uses. */
  duration: 12.5,
  gigabytes: 0.128,
} as const;

/** A use as it is billed. */
export interface Bill {
  readonly requests: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  /** Seconds in which a handler runs. An object that could hibernate and has nothing to do is not billed. */
  readonly seconds: number;
  readonly dollars: number;
}

/** Prices a use. */
export function bill(use: Use): Bill {
  const requests = use.requests + use.alarms + use.messages / PRICES.messagesPerRequest;
  const seconds = use.active / 1_000;
  const micro =
    requests * PRICES.requests +
    use.rowsRead * PRICES.rowsRead +
    use.rowsWritten * PRICES.rowsWritten +
    seconds * PRICES.gigabytes * PRICES.duration;
  return { requests, rowsRead: use.rowsRead, rowsWritten: use.rowsWritten, seconds, dollars: micro / 1e6 };
}

/** Adds up uses, each so many times. */
export function sum(parts: readonly (readonly [number, Use])[]): Use {
  const total: Use = { requests: 0, messages: 0, alarms: 0, rowsRead: 0, rowsWritten: 0, active: 0, built: 0 };
  for (const [times, use] of parts) {
    for (const name of Object.keys(total) as (keyof Use)[]) total[name] += times * use[name];
  }
  return total;
}
