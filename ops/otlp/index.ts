/**
 * The streaming-tail Worker: tells an OpenTelemetry collector what the rooms' Worker and its objects do. One request for
 * the spans and, if there are any, one for the log lines of an invocation. Composition only.
 */
import { exportAll, type Env } from "./exporter.ts";
import { Invocation } from "./invocation.ts";
import { Lineage } from "./lineage.ts";

const lineage = new Lineage();

export default {
  tailStream(onset, env, ctx) {
    const invocation = new Invocation(onset, lineage);
    return (event) => {
      if (!invocation.add(event)) return;
      const { spans, logs } = invocation.take();
      ctx.waitUntil(exportAll(env, onset.event.scriptVersion?.id, spans, logs));
    };
  },
} satisfies ExportedHandler<Env>;
