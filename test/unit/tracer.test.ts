/** Spans on runtimes that lack a part of tracing, or all of it: the work is done, once, and nothing else fails. */
import { describe, expect, it } from "vitest";
import { tracerOver, type RuntimeTracing } from "../../src/ops/tracer.ts";

const broken = () => {
  throw new TypeError("not here");
};

const runtimes: Record<string, RuntimeTracing | undefined> = {
  "without tracing": undefined,
  "without enterSpan": {},
  "whose enterSpan is no function": { enterSpan: 5 as never },
  "whose enterSpan throws before it runs anything": { enterSpan: broken },
  "whose spans have no isTraced": { enterSpan: (_name, run) => run({}) },
  "whose spans take no attributes": { enterSpan: (_name, run) => run({ isTraced: true }) },
  "whose attributes throw": { enterSpan: (_name, run) => run({ isTraced: true, setAttribute: broken }) },
  "without getActiveSpan": { enterSpan: (_name, run) => run({ isTraced: false }) },
  "without an active span": { getActiveSpan: () => undefined },
  "whose active span has no spanContext": { getActiveSpan: () => ({}) },
  "whose spanContext says nothing": { getActiveSpan: () => ({ spanContext: () => undefined }) },
  "whose spanContext is empty": { getActiveSpan: () => ({ spanContext: () => ({}) }) },
  "whose getActiveSpan throws": { getActiveSpan: broken },
};

describe("E5: a runtime", () => {
  it.each(Object.entries(runtimes))("%s does the work once, and has no trace", (_what, tracing) => {
    const tracer = tracerOver(tracing);
    let ran = 0;
    expect(tracer.span("verify", { room: "r" }, () => ++ran)).toBe(1);
    expect(ran).toBe(1);
    expect(tracer.traceparentNow()).toBeUndefined();
  });

  it("hands on what the work throws, and runs it once", () => {
    let ran = 0;
    const work = () => {
      ran++;
      throw new Error("of the work");
    };
    for (const tracing of Object.values(runtimes)) {
      ran = 0;
      expect(() => tracerOver(tracing).span("verify", {}, work)).toThrow("of the work");
      expect(ran).toBe(1);
    }
  });

  it("with all of it has spans with attributes, and a trace", () => {
    const set: unknown[] = [];
    const context = { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7" };
    const span = {
      isTraced: true,
      setAttribute: (...pair: unknown[]) => void set.push(pair),
      spanContext: () => context,
    };
    const tracer = tracerOver({ enterSpan: (name, run) => run({ ...span, name } as never), getActiveSpan: () => span });
    expect(tracer.span("verify", { room: "r", session: undefined }, () => "done")).toBe("done");
    expect(set).toEqual([["edgerooms.room", "r"]]);
    expect(tracer.traceparentNow()).toBe(`00-${context.traceId}-${context.spanId}-01`);
  });
});
