/**
 * The room that users subclass: the bare room, and what observes it. Failures become log lines and alerts, counts go to the
 * directory and to Analytics Engine, work becomes spans, and events go where the environment says. Decides nothing about members or publications.
 */
import { withTimeout } from "./protocol/with-timeout.ts";
import type { RoomReport } from "./room/telemetry/recorder.ts";
import type { EndRecord } from "./room/telemetry/end.ts";
import type { FailureRecord } from "./room/telemetry/failure.ts";
import { shardOf } from "./room/telemetry/listing.ts";
import { RoomObject } from "./room/runtime/object.ts";
import type { Attributes } from "./room/runtime/ticker.ts";
import type { Directory } from "./ops/directory.ts";
import { recordEnd } from "./ops/ends.ts";
import { record, type Alert } from "./ops/failures.ts";
import { isolate } from "./ops/isolate.ts";
import type { Jurisdiction } from "./ops/jurisdiction.ts";
import { dataPoint } from "./ops/metrics.ts";
import { span } from "./ops/trace.ts";
import { alertWebhook, webhook } from "./ops/webhook.ts";
import type { RoomDefinition } from "./room/definition.ts";
import { outEventTypes } from "./room/outlet.ts";

/** How long a report may take, in ms: a call that never ends would keep the object in memory, and its next report away. */
const REPORT_TIMEOUT_MS = 10_000;

/** Bindings that a room uses when they are there. */
interface Bindings {
  readonly EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory>;
  readonly EDGEROOMS_ANALYTICS?: AnalyticsEngineDataset;
  readonly EVENTS_WEBHOOK_URL?: string;
}

/** All events, to the webhook that the environment names. */
const EVENTS: RoomDefinition["events"] = { types: new Set(outEventTypes), to: webhook() };

/**
 * A room. Bind a subclass in wrangler.toml as a SQLite-backed Durable Object and name the binding in `createApp`.
 * Without a `definition` of its own it relays publications, signals and presence.
 */
export abstract class Room<Env = unknown> extends RoomObject<Env> {
  #directory: DurableObjectStub<Directory> | undefined;
  #sending: { readonly of: RoomDefinition; readonly with: RoomDefinition } | undefined;

  /**
   * Called with failures of severity `alert`, at most once a minute for each code and isolate. Default: the webhook at
   * `ALERT_WEBHOOK_URL`, if there is one.
   */
  protected readonly onAlert: ((alert: Alert) => Promise<void> | void) | undefined = alertWebhook(this.env as object);

  /** Where `EVENTS_WEBHOOK_URL` is set, rooms whose definition has no `events` send theirs there. */
  protected override get definitionInForce(): RoomDefinition {
    const { definition } = this;
    if (definition.events || !(this.env as Bindings).EVENTS_WEBHOOK_URL) return definition;
    if (this.#sending?.of !== definition) this.#sending = { of: definition, with: { ...definition, events: EVENTS } };
    return this.#sending.with;
  }

  protected override report(failed: FailureRecord): void {
    void record(failed, this.onAlert);
  }

  protected override ended(end: EndRecord): void {
    recordEnd(end);
  }

  protected override async sendReport({ listing, counts, records }: RoomReport): Promise<void> {
    const { EDGEROOMS_DIRECTORY: directory, EDGEROOMS_ANALYTICS: analytics } = this.env as Bindings;
    analytics?.writeDataPoint(dataPoint(listing, counts));
    if (!directory) return;
    // What this isolate counted for all its rooms, such as its breakers: no room counts it.
    const own = isolate.take();
    try {
      // One stub: its calls arrive in their order. It is in the room's jurisdiction: not even its name may leave that.
      const { jurisdiction } = this.ctx.id;
      const within = jurisdiction === undefined ? directory : directory.jurisdiction(jurisdiction as Jurisdiction);
      this.#directory ??= within.getByName(String(shardOf(listing.kind, listing.room)));
      await withTimeout(
        this.#directory.update({ ...listing, counts, notes: records, own }),
        "the directory",
        REPORT_TIMEOUT_MS,
      );
    } catch (error) {
      // A report that arrived though its answer did not is counted twice: better than not at all.
      isolate.merge(own);
      // A stub that failed once fails for ever.
      this.#directory = undefined;
      throw error;
    }
  }

  protected override span<T>(name: string, attributes: Attributes, run: () => T): T {
    return span(name, { ...attributes, room: this.ctx.id.name }, run);
  }
}
