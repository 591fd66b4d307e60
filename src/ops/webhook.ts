/**
 * Signed webhooks (Standard Webhooks): an outlet for a room's events, and alerts for the person on call. Events get one try
 * per call, because the room's outbox tries again. What an answer means for a batch is decided here.
 */
import { OutletRefused, type Batch, type Outlet } from "../room/outlet.ts";
import type { Alert } from "./failures.ts";
import { secretBytes, sign } from "./signature.ts";
import { upstream, UpstreamFailed, type Outgoing, type Upstream, type UpstreamOptions } from "./upstream.ts";

/** A text, or a function that takes it from the environment. */
export type Setting<Env> = string | ((env: Env) => string | undefined);

/** Settings of {@link webhook}. */
export interface WebhookOptions<Env> {
  /** The receiver. `https:`; `http:` is for a receiver on your own machine. */
  readonly url: Setting<Env>;
  /** `whsec_` and 24 to 64 bytes in base64. Keep it in the environment, as a secret. */
  readonly secret: Setting<Env>;
}

const EVENTS: UpstreamOptions = { timeout: 10_000, retry: false };
const ALERTS: UpstreamOptions = { timeout: 10_000 };
/** Statuses of the 4xx that a later try may change: timeout, conflict, too early. 429 is a failure of the upstream. */
const LATER: readonly number[] = [408, 409, 425];

/**
 * Posts batches as JSON: `{"type":"room.events","timestamp","data":{kind, room, events}}`. The header `webhook-id` is
 * the batch's id, the same for every try. 2xx is delivered; 4xx but 408, 409, 425 and 429 refuses for good
 * (OutletRefused); anything else, a redirect too, throws UpstreamFailed and is tried again by the room.
 *
 * @throws TypeError when a `url` or `secret` given as text is invalid
 */
export function webhook<Env = unknown>({ url, secret }: WebhookOptions<Env>): Outlet<Env> {
  if (typeof url === "string") checkUrl(url);
  if (typeof secret === "string") secretBytes(secret);
  return async (batch, env) => {
    const to = checkUrl(setting(url, env) ?? "");
    const body = JSON.stringify(eventsMessage(batch));
    // Events never go out unsigned: without a secret this throws.
    const headers = await sign(setting(secret, env) ?? "", batch.id, Date.now(), body);
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
 * when `ALERT_WEBHOOK_SECRET` is set. `undefined` when there is no URL. What it returns throws when the alert did not
 * arrive.
 */
export function alertWebhook(env: object): ((alert: Alert) => Promise<void>) | undefined {
  const { ALERT_WEBHOOK_URL: url, ALERT_WEBHOOK_SECRET: secret } = env as Readonly<Record<string, unknown>>;
  if (typeof url !== "string" || url === "") return undefined;
  return async ({ at, code, source, kind, room, requestId, traceId, message }) => {
    const data = { code, source, kind, room, requestId, traceId, message };
    const body = JSON.stringify({ type: "edgerooms.alert", timestamp: new Date(at).toISOString(), data });
    const signed = typeof secret === "string" && secret.length > 0;
    const headers = signed ? await sign(secret, `alert_${crypto.randomUUID()}`, Date.now(), body) : {};
    const to = checkUrl(url);
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

function setting<Env>(value: Setting<Env>, env: Env): string | undefined {
  return typeof value === "string" ? value : value(env);
}

/** Does not repeat what it refuses: the URL of a webhook is often a secret. */
function checkUrl(url: string): string {
  if (!/^https?:/.test(url) || !URL.canParse(url)) throw new TypeError("the url of a webhook is an http(s) URL");
  return url;
}
