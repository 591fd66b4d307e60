/** How a counter and its labels become the text that rooms send and the directory stores, and back. */
import { describe, expect, it } from "vitest";
import { counterLabels, labelsIn, seriesOf, type CounterName } from "../../src/ops/series.ts";
import { prometheusText } from "../../src/ops/metrics.ts";

describe("a series", () => {
  it("is the text that earlier versions stored", () => {
    expect(seriesOf("publications", {})).toBe("publications");
    expect(seriesOf("resumes", { reason: "log_trimmed", result: "reset" })).toBe("resumes|reset|log_trimmed");
    expect(seriesOf("http_requests", { method: "GET", route: "/rooms/:kind", status: 101 })).toBe(
      "http_requests|GET|/rooms/:kind|101",
    );
    expect(seriesOf("upgrades", { result: "accepted", code: "" })).toBe("upgrades|accepted|");
  });

  it("keeps its labels apart, whatever is in their values", () => {
    const series = seriesOf("http_requests", { method: "GET", route: "/a|b", status: 200 });
    expect(labelsIn(series, "http_requests")).toEqual({ method: "GET", route: "/a%7Cb", status: "200" });
  });

  it("gives its labels back for its own counter only", () => {
    for (const counter of Object.keys(counterLabels) as CounterName[]) {
      const labels = Object.fromEntries(counterLabels[counter].map((label, i) => [label, `v${i}`]));
      const series = seriesOf(counter, labels as never);
      expect(labelsIn(series, counter)).toEqual(labels);
      for (const other of Object.keys(counterLabels) as CounterName[]) {
        if (other !== counter) expect(labelsIn(series, other)).toBeUndefined();
      }
    }
  });

  it("of a worker's counter is summed over the kinds that reported it, and has no kind", () => {
    const nothing = { rooms: 0, connections: 0, members: 0, sessions: 0, undelivered_rooms: 0, dead_letters: 0 };
    const of = (counts: Record<string, number>) => ({ ...nothing, counts });
    const text = prometheusText({
      totals: { "": of({ "alerts|sent": 2 }), chat: of({ "alerts|sent": 3, signals: 1 }), game: of({ signals: 4 }) },
      breakers: [],
    });
    expect(text).toContain('edgerooms_alerts_total{result="sent"} 5\n');
    expect(text).toContain('edgerooms_signals_total{kind="chat"} 1\nedgerooms_signals_total{kind="game"} 4\n');
  });
});
