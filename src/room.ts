/**
 * The room that users subclass: the bare room, and what observes it. Failures become log lines and alerts, counts go to the
 * directory and to Analytics Engine, work becomes spans, and events go where the environment says. Decides nothing about members or publications.
 */
import type { RoomReport } from "./room/telemetry/recorder.ts";
import type { EndRecord } from "./room/telemetry/end.ts";
import type { FailureRecord } from "./room/telemetry/failure.ts";
import { RoomObject } from "./room/runtime/object.ts";
import type { Attributes } from "./room/runtime/ticker.ts";
import type { Directory } from "./ops/directory.ts";
import { recordEnd } from "./ops/ends.ts";
import { record, type Alert } from "./ops/failures.ts";
import { dataPoint } from "./ops/metrics.ts";
import { Reporter } from "./ops/reporter.ts";
import { span } from "./ops/trace.ts";
import { alertWebhook, webhook } from "./ops/webhook.ts";
import type { RoomDefinition } from "./room/definition.ts";
import { outEventTypes } from "./room/outlet.ts";

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
  #reporter: Reporter | undefined;
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
    this.#reporter ??= new Reporter(directory, this.ctx.id.jurisdiction);
    await this.#reporter.send({ kind: listing.kind, name: listing.room }, (part, own) =>
      part.update({ ...listing, counts, notes: records, own }),
    );
  }

  protected override span<T>(name: string, attributes: Attributes, run: () => T): T {
    return span(name, { ...attributes, room: this.ctx.id.name }, run);
  }
}
