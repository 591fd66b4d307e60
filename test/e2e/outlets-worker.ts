/** Nothing but the two outlets: hands them the batch it is sent and says what came of it. A consumer reads the queue. */
import { queue } from "../../src/ops/queue.ts";
import { UpstreamFailed } from "../../src/ops/upstream.ts";
import { webhook } from "../../src/ops/webhook.ts";
import { OutletRefused, type Batch } from "../../src/room/outlet.ts";

interface Env {
  readonly HOOK_URL: string;
  readonly HOOK_SECRET: string;
  readonly EVENTS: Queue;
}

/** What came of handing over a batch. */
export type Came = "delivered" | "refused" | UpstreamFailed["code"];

const outlets = {
  webhook: webhook<Env>({ url: (env) => env.HOOK_URL, secret: (env) => env.HOOK_SECRET }),
  queue: queue<Env & Record<string, unknown>>("EVENTS"),
};

/** What the consumer was given, in its order. */
const consumed: unknown[] = [];

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/consumed") return Response.json(consumed.splice(0));
    const outlet = pathname === "/queue" ? outlets.queue : outlets.webhook;
    try {
      await outlet(await request.json<Batch>(), env as Env & Record<string, unknown>);
      return new Response("delivered" satisfies Came);
    } catch (error) {
      if (error instanceof OutletRefused) return new Response("refused" satisfies Came);
      if (error instanceof UpstreamFailed) return new Response(error.code satisfies Came);
      throw error;
    }
  },
  queue({ messages }) {
    for (const { body } of messages) consumed.push(body);
  },
} satisfies ExportedHandler<Env>;
