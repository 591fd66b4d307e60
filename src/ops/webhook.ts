/**
 * Signed webhooks (Standard Webhooks): an outlet for a room's events, and alerts for the person on call. Events get one try
 * per call, because the room's outbox tries again. What an answer means for a batch is decided here.
 */
import { OutletRefused, type Batch, type Outlet } from "../room/outlet.ts";
import { checkAddress } from "./address.ts";
import type { Alert } from "./failures.ts";
import { secret as secretText, secretsIn, type Secret } from "./secrets.ts";
import { Misconfigured, textIn } from "./settings.ts";
import { secretBytes, sign } from "./signature.ts";
import { upstream, UpstreamFailed, type Outgoing, type Upstream, type UpstreamOptions } from "./upstream.ts";

/** What a setting of {@link webhook} is, or a function that takes it from the environment. */
export type Setting<Env, Value> = Value | ((env: Env) => Value | undefined);

/** One secret, or the one of now and then the previous one: a delivery is signed with each. */
export type WebhookSecrets = Secret | readonly (Secret | undefined)[];

/** Settings of {@link webhook}. */
export interface WebhookOptions<Env> {
  /** The receiver. `https:`; `http:` only on this computer. Default: `EVENTS_WEBHOOK_URL`. */
  readonly url?: Setting<Env, string>;
  /**
   * `whsec_` and 24 to 64 bytes in base64, as text or from the Secrets Store. Default: `EVENTS_WEBHOOK_SECRET`, and
   * `EVENTS_WEBHOOK_SECRET_PREVIOUS` besides if it is set.
   */
  readonly secret?: Setting<Env, WebhookSecrets>;
}

const URL_NAME = "the url of a webhook";
const EVENTS: UpstreamOptions = { timeout: 10_000, retry: false };
const ALERTS: UpstreamOptions = { timeout: 10_000 };
/** Statuses of the 4xx that a later try may change: timeout, conflict, too early. 429 is a failure of the upstream. */
const LATER: readonly number[] = [408, 409, 425];

/**
 * Posts batches as JSON: `{"type":"room.events","timestamp","data":{kind, room, events}}`. The header `webhook-id` is
 * the batch's id, the same for every try. 2xx is delivered; 4xx but 408, 409, 425 and 429 refuses for good
 * (OutletRefused); anything else, a redirect too, throws UpstreamFailed and is tried again by the room.
 *
 * @throws TypeError when a `secret` given as text is invalid, Misconfigured when a `url` given as text is
 */
export function webhook<Env = unknown>({ url, secret }: WebhookOptions<Env> = {}): Outlet<Env> {
  if (typeof url === "string") checkAddress(url, URL_NAME);
  if (typeof secret === "string") secretBytes(secret);
  return async (batch, env) => {
    const to = checkAddress(addressOf(url, env) ?? "", URL_NAME);
    const body = JSON.stringify(eventsMessage(batch));
    // Events never go out unsigned: without a secret this throws.
    const headers = await sign(await secretsOf(secret, env), batch.id, Date.now(), body);
    const traceparent = traceOf(batch);
    const status = await post(upstream("webhook", to, EVENTS), to, { body, headers, traceparent });
    if (status >= 200 && status < 300) return;
    if (status >= 400 && status < 500 && !LATER.includes(status)) throw new OutletRefused(`webhook answered ${status}`);
    throw new UpstreamFailed("upstream_failed", `webhook answered ${status}`);
  };
}

/** A batch as receivers get it. */
export function eventsMessage({ at, kind, room, events }: Omit<Batch, "events"> & { events: readonly unknown[] }) {
  return { type: "room.events", timestamp: new Date(at).toISOString(), data: { kind, room, events } } as const;
}

/**
 * For `onAlert`: posts `{"type":"edgerooms.alert","timestamp","data":{code, source, ...}}` to `ALERT_WEBHOOK_URL`, signed
 * when `ALERT_WEBHOOK_SECRET` is set (and with `ALERT_WEBHOOK_SECRET_PREVIOUS` too). `undefined` when there is no URL. What
 * it returns throws when the alert did not arrive.
 */
export function alertWebhook(env: object): ((alert: Alert) => Promise<void>) | undefined {
  const { ALERT_WEBHOOK_URL: url } = env as Readonly<Record<string, unknown>>;
  if (typeof url !== "string" || url === "") return undefined;
  return async ({ at, code, source, kind, room, requestId, traceId, message }) => {
    const to = checkAddress(url, "ALERT_WEBHOOK_URL");
    const data = { code, source, kind, room, requestId, traceId, message };
    const body = JSON.stringify({ type: "edgerooms.alert", timestamp: new Date(at).toISOString(), data });
    // A secret that cannot be used is no reason to send unsigned: then the alert fails.
    const secrets = await secretsIn(env, "ALERT_WEBHOOK_SECRET", secretBytes);
    const headers = secrets.length > 0 ? await sign(secrets, `alert_${crypto.randomUUID()}`, Date.now(), body) : {};
    const status = await post(upstream("alert", to, ALERTS), to, { body, headers });
    if (status < 200 || status >= 300) throw new UpstreamFailed("upstream_failed", `alert answered ${status}`);
  };
}

/** Posts JSON; resolves with the status. */
async function post(to: Upstream, url: string, { headers, ...what }: Outgoing): Promise<number> {
  const sent = { "content-type": "application/json", "user-agent": "edgerooms", ...headers };
  return to.request(url, { ...what, method: "POST", headers: sent }, async (response) => {
    await response.body?.cancel();
    return response.status;
  });
}

/** The trace of the first event that has one. */
function traceOf({ events }: Batch): string | undefined {
  return events.find(({ publication }) => publication?.traceparent !== undefined)?.publication?.traceparent;
}

function addressOf<Env>(url: WebhookOptions<Env>["url"], env: Env): string | undefined {
  if (url === undefined) return textIn(env as object, "EVENTS_WEBHOOK_URL");
  return typeof url === "function" ? url(env) : url;
}

async function secretsOf<Env>(setting: WebhookOptions<Env>["secret"], env: Env): Promise<readonly string[]> {
  if (setting === undefined) {
    const secrets = await secretsIn(env as object, "EVENTS_WEBHOOK_SECRET", secretBytes);
    if (secrets.length === 0) throw new Misconfigured("EVENTS_WEBHOOK_SECRET is not set.");
    return secrets;
  }
  const given = typeof setting === "function" ? setting(env) : setting;
  const all: readonly unknown[] = Array.isArray(given) ? given : [given];
  const texts = await Promise.all(all.map(async (each) => secretText(each, "the secret of a webhook")));
  return texts.filter((text) => text !== undefined);
}
