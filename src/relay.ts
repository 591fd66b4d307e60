/**
 * The relay that users bind: the bare relay, and what observes it. Failures become log lines and alerts, counts go to the
 * directory under the kind of its room, work becomes spans. Has no code of the user's, and decides nothing about members.
 */
import { RelayObject } from "./room/runtime/relay-object.ts";
import type { Attributes } from "./room/runtime/ticker.ts";
import type { EndRecord } from "./room/telemetry/end.ts";
import type { FailureRecord } from "./room/telemetry/failure.ts";
import type { RoomReport } from "./room/telemetry/recorder.ts";
import type { Directory } from "./ops/directory.ts";
import { recordEnd } from "./ops/ends.ts";
import { record, type Alert } from "./ops/failures.ts";
import { Reporter } from "./ops/reporter.ts";
import { span } from "./ops/trace.ts";
import { alertWebhook } from "./ops/webhook.ts";

/**
 * One of the objects that the connections of a large room are spread over. Export it beside your own rooms, bind it as a
 * SQLite-backed Durable Object with a migration of its own, and name the binding in `relays` of a kind. What members may do
 * is decided by the room.
 */
export class Relay<Env = unknown> extends RelayObject<Env> {
  #reporter: Reporter | undefined;

  /**
   * Called with failures of severity `alert`, at most once a minute for each code and isolate. Default: the webhook at
   * `ALERT_WEBHOOK_URL`, if there is one.
   */
  protected readonly onAlert: ((alert: Alert) => Promise<void> | void) | undefined = alertWebhook(this.env as object);

  protected override report(failed: FailureRecord): void {
    void record(failed, this.onAlert);
  }

  protected override ended(end: EndRecord): void {
    recordEnd(end);
  }

  protected override async sendReport({ listing: { kind }, counts, records }: RoomReport): Promise<void> {
    const { EDGEROOMS_DIRECTORY: directory } = this.env as { EDGEROOMS_DIRECTORY?: DurableObjectNamespace<Directory> };
    if (!directory) return;
    this.#reporter ??= new Reporter(directory, this.ctx.id.jurisdiction);
    // By its own name: the relays of one room are not all of them a burden of the same part.
    await this.#reporter.send({ kind, name: this.ctx.id.name ?? "" }, (part, own) =>
      part.add({ kind, counts, failures: records, own }),
    );
  }

  protected override span<T>(name: string, attributes: Attributes, run: () => T): T {
    return span(name, { ...attributes, room: this.ctx.id.name }, run);
  }
}
