/**
 * The Hono app: routes, and the path of an upgrade from request to room. Verifies everything before a room object is
 * touched, so that not one byte of a stranger reaches it.
 */
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { alertWebhook } from "../ops/webhook.ts";
import { SUBPROTOCOL } from "../protocol/frames.ts";
import { readResume, sealUpgrade } from "../room/admission.ts";
import { operatorRoutes } from "./api/routes.ts";
import { Gate, type AppOptions } from "./gate/gate.ts";
import { checkOrigins } from "./gate/origin.ts";
import { accepted, FRESH, isUpgrade, problem, refuseUpgrade, speaksOurs } from "./problem.ts";
import { inTime } from "./with-timeout.ts";
import { scrapeRoutes } from "./scrape.ts";
import { seenOf, type LoggedRefusal } from "./request.ts";
import { spanned, thrown, watch } from "./observe.ts";

/**
 * An app that serves rooms alone or under any path of a bigger one: `app.route("/rt", createApp({...}))`.
 *
 * Routes: `GET /rooms/:kind/:room` (upgrade), `POST /rooms/:kind/:room/session` (next token), the operator's (api.ts,
 * `GET /openapi.json` describes them all), `GET /metrics`, `GET /failures` and `GET /healthz`; without `:kind/` when there
 * is one kind.
 *
 * @throws TypeError when no kind of room is given, two share a binding, or an origin is none
 */
export function createApp<Env extends object>(options: AppOptions<Env>): Hono<{ Bindings: Env }> {
  const kinds = Object.keys(options.rooms);
  if (kinds.length === 0) throw new TypeError("createApp needs at least one kind of room");
  // A room is its binding and its name: two kinds on one binding would be one room under two sets of grants.
  if (new Set(Object.values(options.rooms)).size < kinds.length)
    throw new TypeError("every kind needs its own binding");
  if (Array.isArray(options.origins)) checkOrigins(options.origins as readonly string[]);
  const paths = ["/rooms/:kind/:room", ...(kinds.length === 1 ? ["/rooms/:room"] : [])];
  const gate = new Gate(options);

  const app = new Hono<{ Bindings: Env }>();
  app.use(requestId());
  const { onAlert } = options;
  app.use(watch<Env>((env) => (onAlert ? (alert) => onAlert(alert, env) : alertWebhook(env))));
  app.onError(thrown);
  app.notFound((c) => refuseUpgrade(c, { code: "not_found" }));
  app.get("/healthz", (c) => c.json({ ok: true, protocol: SUBPROTOCOL }, 200, FRESH));
  scrapeRoutes(app, gate);
  operatorRoutes(app, gate, paths);
  for (const path of paths) {
    app.get(path, (c) => spanned(c, "upgrade", () => upgrade(c, gate)));
    app.use(
      `${path}/session`,
      cors({
        origin: (origin, c) => (gate.allowsOrigin(c as Context<{ Bindings: Env }>) ? origin : null),
        allowMethods: ["POST"],
        allowHeaders: ["authorization", "content-type"],
        maxAge: 600,
      }),
      bodyLimit({ maxSize: 4_096, onError: (c) => problem(c, { code: "too_large" }) }),
    );
    app.post(`${path}/session`, (c) => refresh(c, gate));
  }
  // Also where a bigger app has another idea of what is not found: our clients must be told in a way they can see.
  app.all("/rooms/*", (c) => refuseUpgrade(c, { code: "not_found" }));
  return app;
}

async function upgrade<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const { raw } = c.req;
  if (!isUpgrade(raw)) return problem(c, { code: "wrong_protocol" });
  const query = URL.parse(c.req.url)?.searchParams;
  // A Host that is none makes an address that is none.
  if (!query) return refuseUpgrade(c, { code: "not_found" });
  const resume = readResume(query);
  if (resume === null) return refuseUpgrade(c, { code: "bad_resume" });
  const passed = await gate.pass(c, "join");
  if ("code" in passed) return refuseUpgrade(c, passed);
  // Last: who looks with curl is told what is wrong with the token before what is wrong with curl.
  if (!speaksOurs(raw)) return problem(c, { code: "wrong_protocol" });
  const { stub, address, credentials } = passed;
  const { traceparent } = seenOf(c);
  const sealed = sealUpgrade({
    ...address,
    credentials,
    requestId: c.get("requestId"),
    ...(traceparent !== undefined && { traceparent }),
    receivedAt: Date.now(),
    ...(resume && { resume }),
    credit: query.get("credit") === "1",
  });
  const response = await spanned(c, "admission", () => inTime(stub.fetch(sealed)));
  if (response.webSocket) return accepted(c, response.webSocket);
  return refuseUpgrade(c, await response.json<LoggedRefusal>());
}

async function refresh<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const passed = await gate.pass(c, "join");
  if ("code" in passed) return problem(c, passed);
  const body: unknown = await c.req.json().catch(() => undefined);
  const session = typeof body === "object" && body !== null && "session" in body ? body.session : undefined;
  if (typeof session !== "string")
    return problem(c, { code: "bad_resume", message: 'The body is {"session": "..."}.' });
  const result = await inTime(passed.stub.refresh(session, passed.credentials));
  return result.ok ? c.json({ expires: result.expires }, 200, FRESH) : problem(c, result);
}
