/** What an operator of all rooms reads: `GET /metrics` for Prometheus, `GET /failures` for people. */
import type { Context, Hono } from "hono";
import type { Directory } from "../ops/directory.ts";
import { isolate } from "../ops/isolate.ts";
import { prometheusText } from "../ops/metrics.ts";
import { reportNow } from "../ops/reporting.ts";
import { allFailures, allTotals } from "../ops/shards.ts";
import type { FailureList } from "../protocol/api.ts";
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
  const directory = directoryOf(c.env);
  // Without a directory this isolate is all that is known.
  const own = { "": { rooms: 0, connections: 0, members: 0, sessions: 0, counts: isolate.counts } };
  if (directory) await reportNow(c.env);
  const text = prometheusText(directory ? await allTotals(directory) : own, breakerStates());
  return c.body(text, 200, { "content-type": "text/plain; version=0.0.4; charset=utf-8", ...FRESH });
}

async function failures<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const refusal = await gate.requireGlobalAdmin(c);
  if (refusal) return problem(c, refusal);
  const directory = directoryOf(c.env);
  if (directory) await reportNow(c.env);
  const records = directory ? await allFailures(directory) : [];
  const list: FailureList = { failures: records.map((each) => ({ ...each, severity: codes[each.code].severity })) };
  return c.json(list, 200, FRESH);
}

function directoryOf(env: object): DurableObjectNamespace<Directory> | undefined {
  return (env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> }).EDGEROOMS_DIRECTORY;
}
