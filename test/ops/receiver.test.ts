/** The receiver that judges the exporter is judged first: what the specification forbids, it must refuse. */
import { expect, it } from "vitest";
import { problemOf } from "./otlp-receiver.ts";

const SPAN = {
  traceId: "0af7651916cd43dd8448eb211c80319c",
  spanId: "b7ad6b7169203331",
  name: "tick",
  kind: 1,
  startTimeUnixNano: "1790000000000000000",
  endTimeUnixNano: "1790000000001000000",
  attributes: [{ key: "n", value: { intValue: "3" } }],
};
const traces = (span: object) => ({
  resourceSpans: [{ resource: { attributes: [] }, scopeSpans: [{ spans: [span] }] }],
});

it("takes a span as the specification has it", () => {
  expect(problemOf("/v1/traces", traces(SPAN))).toBeUndefined();
});

it.each([
  ["a field that is unknown", { ...SPAN, colour: "red" }],
  ["a trace id of another length", { ...SPAN, traceId: "0af765" }],
  ["a trace id in base64", { ...SPAN, traceId: "CvdlGRbNQ92ESOshHIAxnA==" }],
  ["a span id of zeros", { ...SPAN, spanId: "0000000000000000" }],
  ["a parent that is no id", { ...SPAN, parentSpanId: "" }],
  ["a time as a number", { ...SPAN, startTimeUnixNano: 1_790_000_000_000 }],
  ["a time that is no number", { ...SPAN, startTimeUnixNano: "yesterday" }],
  ["a kind by name", { ...SPAN, kind: "SPAN_KIND_SERVER" }],
  ["a name that is no text", { ...SPAN, name: 3 }],
  ["an integer as a number", { ...SPAN, attributes: [{ key: "n", value: { intValue: 3 } }] }],
  ["a bare value", { ...SPAN, attributes: [{ key: "n", value: 3 }] }],
  ["attributes as an object", { ...SPAN, attributes: { n: 3 } }],
  ["a link without an id", { ...SPAN, links: [{ traceId: "zz", spanId: SPAN.spanId }] }],
])("refuses %s", (_what, span) => {
  expect(problemOf("/v1/traces", traces(span))).toBeDefined();
});

it("refuses spans where log records belong, and paths of nothing", () => {
  expect(problemOf("/v1/logs", traces(SPAN))).toBeDefined();
  expect(problemOf("/v1/spans", traces(SPAN))).toBeDefined();
});
