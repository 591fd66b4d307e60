/** What an operator of all rooms reads: `GET /metrics` for Prometheus, `GET /failures` for people. */
import type { Context, Hono } from "hono";
import { isolate } from "../ops/isolate.ts";
import { prometheusText } from "../ops/metrics.ts";
import { reportNow } from "../ops/reporting.ts";
import { allFailures, allTotals, shardsIn } from "../ops/shards.ts";
import type { FailureList, FailureRecord } from "../protocol/api.ts";
import { codes } from "../protocol/codes.ts";
import { breakerStates } from "../ops/upstream.ts";
import type { Gate } from "./gate/gate.ts";
import { isScraper } from "./gate/scraper.ts";
import { FRESH, problem } from "./problem.ts";

/** Adds the routes. */
export function scrapeRoutes<Env extends object>(app: Hono<{ Bindings: Env }>, gate: Gate<Env>): void {
  app.get("/metrics", (c) => metrics(c, gate));
  app.get("/failures", (c) => failures(c, gate));
}

/** Needs `METRICS_TOKEN` as its bearer, or a token that is admin of all rooms. */
async function metrics<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const scraper = await isScraper(c.req.raw, c.env);
  const refusal = scraper === true ? undefined : await gate.requireGlobalAdmin(c);
  // A scrape token that cannot be used is why the scraper is refused.
  if (refusal) return problem(c, typeof scraper === "object" ? scraper : refusal);
  const shards = shardsIn(c.env, gate.places.jurisdictions);
  if (shards) await reportNow(c.env);
  const { value: totals, missing } = shards ? await allTotals(shards) : ownTotals();
  const text = prometheusText({ totals, breakers: breakerStates(), missing: missing.length });
  return c.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8", ...FRESH });
}

async function failures<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const refusal = await gate.requireGlobalAdmin(c);
  if (refusal) return problem(c, refusal);
  const shards = shardsIn(c.env, gate.places.jurisdictions);
  if (shards) await reportNow(c.env);
  const { value, missing } = shards ? await allFailures(shards) : NONE;
  const listed = (records: readonly FailureRecord[]) =>
    records.map((each) => ({ ...each, severity: codes[each.code].severity }));
  const list: FailureList = {
    failures: listed(value.failures),
    ends: listed(value.ends),
    ...(missing.length > 0 && { incomplete: missing }),
  };
  return c.json(list, 200, FRESH);
}

const NONE = { value: { failures: [], ends: [] }, missing: [] };

/** Without a directory this isolate is all that is known. */
function ownTotals() {
  const nothing = { rooms: 0, connections: 0, members: 0, sessions: 0, undelivered_rooms: 0, dead_letters: 0 };
  return { value: { "": { ...nothing, counts: isolate.counts } }, missing: [] };
}
