/**
 * `GET /readyz`: whether the Worker has what it needs to let anybody in, for a deploy that wants to know before traffic comes.
 * Names the settings that are missing or wrong, and never what is in them. Asks no room and no issuer: that they answer is
 * not for a readiness check to say.
 */
import type { Context, Hono } from "hono";
import { checkAddress } from "../ops/address.ts";
import { secretsIn } from "../ops/secrets.ts";
import { textIn } from "../ops/settings.ts";
import { secretBytes } from "../ops/signature.ts";
import { checkScraperTokens } from "./gate/scraper.ts";
import type { Gate } from "./gate/gate.ts";
import { FRESH, problem } from "./problem.ts";

/** Adds the route. */
export function readyRoute<Env extends object>(app: Hono<{ Bindings: Env }>, gate: Gate<Env>): void {
  app.get("/readyz", (c) => ready(c, gate));
}

async function ready<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const found = [
    ...(await gate.problems(c.env)),
    ...directoryIn(c.env),
    ...(await problemIn(() => checkScraperTokens(c.env))),
    ...(await problemIn(() => checkWebhook(c.env, "EVENTS_WEBHOOK"))),
    ...(await problemIn(() => checkWebhook(c.env, "ALERT_WEBHOOK"))),
  ];
  if (found.length > 0) return problem(c, { code: "misconfigured", message: found.join(" ") });
  const warnings = unsignedEvents(c.env);
  return c.json({ ok: true, ...(warnings.length > 0 && { warnings }) }, 200, FRESH);
}

/** The directory may be missing, which turns off what is made of it. */
function directoryIn(env: object): string[] {
  const { EDGEROOMS_DIRECTORY: bound } = env as { EDGEROOMS_DIRECTORY?: Partial<DurableObjectNamespace> };
  const isUsable = bound === undefined || typeof bound.getByName === "function";
  return isUsable ? [] : ["EDGEROOMS_DIRECTORY is no Durable Object binding."];
}

/** A webhook that is configured can be used. Without an address there is none. */
async function checkWebhook(env: object, name: string): Promise<void> {
  if (!isSet(env, `${name}_URL`)) return;
  checkAddress(textIn(env, `${name}_URL`) ?? "", `${name}_URL`);
  await secretsIn(env, `${name}_SECRET`, secretBytes);
}

/** Only the class of a room knows whether its webhook reads this secret or another one. */
function unsignedEvents(env: object): string[] {
  const isWrong = isSet(env, "EVENTS_WEBHOOK_URL") && !isSet(env, "EVENTS_WEBHOOK_SECRET");
  return isWrong
    ? ["EVENTS_WEBHOOK_URL is set, and EVENTS_WEBHOOK_SECRET is not: only rooms whose webhook has another secret send."]
    : [];
}

function isSet(env: object, name: string): boolean {
  const value = (env as Readonly<Record<string, unknown>>)[name];
  return value !== undefined && value !== null && value !== "";
}

/** The sentence of what a check throws. Errors of settings name them, and nothing else. */
async function problemIn(check: () => Promise<unknown>): Promise<string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
}
