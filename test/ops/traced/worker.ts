/** Does what invocations can do, one by one, so that a test can look at what is told of each. */
import { DurableObject, tracing } from "cloudflare:workers";

interface Env {
  readonly THING: DurableObjectNamespace<Thing>;
}

/** One object of it, "a". */
export class Thing extends DurableObject<Env> {
  override fetch(request: Request): Response {
    const traceparent = request.headers.get("traceparent");
    tracing.enterSpan("admission", (span) => {
      span.setAttribute("edgerooms.room", "a");
      if (traceparent) span.setAttribute("edgerooms.traceparent", traceparent);
      this.ctx.storage.sql.exec("SELECT 'secret-statement'").toArray();
    });
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override webSocketMessage(socket: WebSocket, message: string): void {
    if (message === "bad json secret-payload") JSON.parse(message);
    tracing.enterSpan("tick", (span) => {
      span.setAttribute("edgerooms.events", 1);
      if (message !== "plain") span.setAttribute("edgerooms.traceparent", message);
      tracing.enterSpan("fan-out", () => socket.send("told"));
    });
  }

  override webSocketClose(socket: WebSocket): void {
    socket.close();
  }

  override alarm(): void {
    tracing.enterSpan("edgerooms.alarm", (span) => span.setAttribute("edgerooms.kind", "thing"));
  }

  async work(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now());
    const line = { level: "alert", code: "internal", source: "hook", room: "a", payload: "secret-payload" };
    console.error(JSON.stringify(line));
    console.warn("two", { parts: 2 });
  }

  fail(): void {
    throw new RangeError("secret-payload\n    at secret-frame (secret-place.js:1:1)");
  }
}

const handler: ExportedHandler<Env> = {
  async fetch(request, env) {
    const stub = env.THING.getByName("a");
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case "/ws":
        return tracing.enterSpan("upgrade", (span) => {
          const traceparent = request.headers.get("traceparent");
          if (traceparent) span.setAttribute("edgerooms.traceparent", traceparent);
          return stub.fetch(request);
        });
      case "/work":
        await stub.work();
        return new Response("done");
      case "/fail":
        await Promise.resolve(stub.fail()).catch(() => undefined);
        return new Response("failed", { status: 503 });
      case "/own":
        return tracing.enterSpan("own", async (span) => {
          const { traceId, spanId } = span.spanContext();
          span.setAttribute("edgerooms.traceparent", `00-${traceId}-${spanId}-01`);
          await stub.work();
          return new Response("done");
        });
      default: {
        const answer = await fetch(`${searchParams.get("to")}/?token=secret-query`, {
          headers: { authorization: "secret-header" },
        });
        return new Response(await answer.text(), { status: 404, headers: { "x-secret": "secret-header" } });
      }
    }
  },
};

export default handler;
