/**
 * What this isolate has counted that belongs to no room, such as requests, breakers and alerts, until a room or the Worker
 * hands it to the directory. The one mutable global of the counts: isolates live longer than requests.
 */
import { seriesOf, type CounterName, type Labels, type Series } from "./series.ts";
import { Counters } from "../room/telemetry/counts.ts";

class IsolateCounters extends Counters<Series> {
  /** Counts one more, with the values of the counter's labels. */
  count<C extends CounterName>(counter: C, labels: Labels<C>): void {
    this.add(seriesOf(counter, labels));
  }
}

/** The counts of this isolate that nobody has taken yet. */
export const isolate = new IsolateCounters();
