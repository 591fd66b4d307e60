/**
 * The Hono app: its routes, and the way of an upgrade and of a refresh from the request to the room. Whether they may is
 * decided in gate/; what operators do is api/.
 */
import { Hono, type Context } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { alertWebhook } from "../ops/webhook.ts";
import { SESSION_ID } from "../protocol/api.ts";
import { SUBPROTOCOL } from "../protocol/frames.ts";
import { readAttempt, readResume } from "../room/admission.ts";
import { apiRoutes } from "./api/routes.ts";
import { devRoutes } from "./dev.ts";
import { Gate } from "./gate/gate.ts";
import type { AppOptions } from "./gate/options.ts";
import { wrongOrigins } from "./gate/origin.ts";
import { readyRoute } from "./ready.ts";
import { accepted, FRESH, problem, refuseUpgrade, speaksOurs } from "./problem.ts";
import { isUpgrade, requestInfo } from "./request.ts";
import { askRoom, refusalIn } from "./room-call.ts";
import { scrapeRoutes } from "./scrape.ts";
import { observe, onThrown, spanned } from "./observe.ts";

/**
 * An app that serves rooms alone or under any path of a bigger one: `app.route("/rt", createApp({...}))`.
 *
 * Routes: `GET /rooms/:kind/:room` (upgrade), `POST /rooms/:kind/:room/session` (next token), those of operators
 * (api/operations.ts), `GET /rooms`, `GET /metrics`, `GET /failures`, `GET /healthz`, `GET /readyz`, and `GET /openapi.json`,
 * which describes them all; without `:kind/` too when there is one kind. Where `ENVIRONMENT` is "development" also
 * `POST /dev/token`.
 *
 * @throws TypeError when no kind of room is given, two share a binding, or a place or an origin is invalid
 * @throws RangeError when a limit is invalid
 */
export function createApp<Env extends object>(options: AppOptions<Env>): Hono<{ Bindings: Env }> {
  const wrong = Array.isArray(options.origins) ? wrongOrigins(options.origins, "the origins of createApp") : undefined;
  if (wrong !== undefined) throw new TypeError(wrong);
  const gate = new Gate(options);
  const paths = ["/rooms/:kind/:room", ...(gate.places.kinds.length === 1 ? ["/rooms/:room"] : [])];

  const app = new Hono<{ Bindings: Env }>();
  const { onAlert } = options;
  app.use(observe<Env>((env) => (onAlert ? (alert) => onAlert(alert, env) : alertWebhook(env))));
  app.onError(onThrown);
  app.notFound((c) => refuseUpgrade(c, { code: "not_found" }));
  devRoutes(app);
  readyRoute(app, gate);
  app.get("/healthz", (c) => c.json({ ok: true, protocol: SUBPROTOCOL }, 200, FRESH));
  scrapeRoutes(app, gate);
  apiRoutes(app, gate, paths);
  for (const path of paths) {
    app.get(path, (c) => spanned(requestInfo(c), "upgrade", () => upgrade(c, gate)));
    app.use(
      `${path}/session`,
      cors({
        origin: (origin, c) => (gate.allowsOrigin(c as Context<{ Bindings: Env }>) ? origin : null),
        allowMethods: ["POST"],
        allowHeaders: ["authorization", "content-type"],
        credentials: gate.takesCookies,
        maxAge: 600,
      }),
      bodyLimit({ maxSize: 4_096, onError: (c) => problem(c, { code: "too_large" }) }),
    );
    app.post(`${path}/session`, (c) => refresh(c, gate));
  }
  // Also where a bigger app answers what is not found: our clients must get a refusal that they can see.
  app.all("/rooms/*", (c) => refuseUpgrade(c, { code: "not_found", message: gate.map }));
  return app;
}

async function upgrade<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const { raw } = c.req;
  if (!isUpgrade(raw)) return problem(c, { code: "wrong_protocol" });
  const query = URL.parse(c.req.url)?.searchParams;
  // An invalid Host makes an invalid address.
  if (!query) return refuseUpgrade(c, { code: "not_found" });
  const resume = readResume(query);
  const attempt = readAttempt(query);
  if (resume === null || attempt === null) return refuseUpgrade(c, { code: "bad_resume" });
  const passage = await gate.authorize(c, "join");
  if ("code" in passage) return refuseUpgrade(c, passage);
  const { info } = passage;
  // Last: a developer with curl learns what is wrong with the token before what is wrong with curl.
  if (!speaksOurs(raw)) return problem(c, { code: "wrong_protocol", info });
  const admission = {
    ...passage.address,
    credentials: passage.credentials,
    requestId: info.requestId ?? "",
    ...(info.traceparent !== undefined && { traceparent: info.traceparent }),
    receivedAt: Date.now(),
    ...(resume && { resume }),
    credit: query.get("credit") === "1",
    ...(attempt && { attempt }),
  };
  const asked = await spanned(info, "admission", async () =>
    askRoom(passage, c.env, () => gate.largeRooms.open({ ...passage, env: c.env }, admission, raw.cf)),
  );
  if ("code" in asked) return refuseUpgrade(c, asked);
  const { value: response } = asked;
  if (response.webSocket) return accepted(c, response.webSocket);
  return refuseUpgrade(c, { ...refusalIn(await response.json()), info });
}

async function refresh<Env extends object>(c: Context<{ Bindings: Env }>, gate: Gate<Env>): Promise<Response> {
  const passage = await gate.authorize(c, "join");
  if ("code" in passage) return problem(c, passage);
  const { info, credentials } = passage;
  const body: unknown = await c.req.json().catch(() => undefined);
  const session = typeof body === "object" && body !== null && "session" in body ? body.session : undefined;
  if (typeof session !== "string" || !SESSION_ID.test(session))
    return problem(c, { code: "bad_resume", message: 'The body is {"session": "..."}.', info });
  const asked = await askRoom(passage, c.env, () =>
    gate.largeRooms.refresh({ ...passage, env: c.env }, session, credentials),
  );
  if ("code" in asked) return problem(c, asked);
  // A room of another version may answer anything.
  const result = asked.value as Partial<{ ok: boolean; expires: number }> | undefined;
  const isDone = result?.ok === true && Number.isFinite(result.expires);
  return isDone ? c.json({ expires: result.expires }, 200, FRESH) : problem(c, { ...refusalIn(result), info });
}
