/**
 * `GET /readyz`: whether the Worker has what it needs to let anybody in, for a deploy that wants to know before traffic comes.
 * Names the settings that are missing or wrong, and never what is in them. Asks no room and no issuer: that they answer is
 * not for a readiness check to say.
 */
import type { Context, Hono } from "hono";
import { checkAddress } from "../ops/address.ts";
import { Misconfigured, secretsIn, textIn } from "../ops/settings.ts";
import { secretBytes } from "../ops/signature.ts";
import { scraperSecrets } from "./gate/scraper.ts";
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
    ...(await problemIn(() => scraperSecrets(c.env))),
    ...(await problemIn(() => webhookIn(c.env, "EVENTS_WEBHOOK", true))),
    ...(await problemIn(() => webhookIn(c.env, "ALERT_WEBHOOK", false))),
  ];
  if (found.length > 0) return problem(c, { code: "misconfigured", message: found.join(" ") });
  return c.json({ ok: true }, 200, FRESH);
}

/** The directory may be missing, which turns off what is made of it. */
function directoryIn(env: object): string[] {
  const { EDGEROOMS_DIRECTORY: bound } = env as { EDGEROOMS_DIRECTORY?: Partial<DurableObjectNamespace> };
  const isUsable = bound === undefined || typeof bound.getByName === "function";
  return isUsable ? [] : ["EDGEROOMS_DIRECTORY is no Durable Object binding."];
}

/** A webhook that is configured, and can be used. Without an address there is none. */
async function webhookIn(env: object, name: string, isSigned: boolean): Promise<void> {
  const url = (env as Readonly<Record<string, unknown>>)[`${name}_URL`];
  if (url === undefined || url === "") return;
  checkAddress(textIn(env, `${name}_URL`) ?? "", `${name}_URL`);
  const secrets = await secretsIn(env, `${name}_SECRET`);
  if (isSigned && secrets.length === 0) throw new Misconfigured(`${name}_URL is set, and ${name}_SECRET is not.`);
  for (const secret of secrets) secretBytes(secret);
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
