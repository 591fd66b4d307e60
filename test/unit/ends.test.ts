/** Lines of the log about connections that a room ended: each has one, whatever else is refused meanwhile. */
import { afterEach, expect, it, vi } from "vitest";
import type { FailureRecord } from "../../src/protocol/api.ts";
import type { CodeName } from "../../src/protocol/codes.ts";
import { record } from "../../src/ops/failures.ts";

afterEach(() => void vi.restoreAllMocks());

/** What is written, by the method of `console`. */
function written(): { readonly level: string; readonly line: Record<string, unknown> }[] {
  const lines: { level: string; line: Record<string, unknown> }[] = [];
  for (const level of ["info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((text: string) => {
      lines.push({ level, line: JSON.parse(text) as Record<string, unknown> });
    });
  }
  return lines;
}

const end = (code: CodeName, at: number, session = "s"): FailureRecord => ({ at, code, source: "connection", session });

it("T18: a connection that is cut after a flood of refused frames has its line, and so have the next ones", () => {
  const lines = written();
  const at = 1_800_000_000_000;
  for (let n = 0; n < 500; n++) void record({ at: at + n, code: "rate_limited", source: "publish" }, undefined);
  for (const session of ["a", "b", "c"]) void record(end("rate_limited", at + 600, session), undefined);
  const ends = lines.filter(({ line }) => line["source"] === "connection");
  expect(lines).toHaveLength(33);
  expect(ends.map(({ line }) => line["session"])).toEqual(["a", "b", "c"]);
});

it("T18: an end that is a room's normal life has a line too, and nothing else of that severity has", () => {
  const lines = written();
  const at = 1_800_100_000_000;
  for (const code of ["heartbeat_lost", "kicked", "token_expired", "replaced"] as const) {
    void record(end(code, at), undefined);
    void record({ at, code, source: "GET /rooms" }, undefined);
  }
  expect(lines.map(({ level, line }) => [level, line["level"], line["code"], line["source"]])).toEqual(
    ["heartbeat_lost", "kicked", "token_expired", "replaced"].map((code) => ["info", "info", code, "connection"]),
  );
});

it("T18: a flood of ends makes no flood of lines, and says how many it left out", () => {
  const lines = written();
  const at = 1_800_200_000_000;
  for (let n = 0; n < 1_000; n++) void record(end("heartbeat_lost", at, `s${n}`), undefined);
  expect(lines).toHaveLength(30);
  void record(end("heartbeat_lost", at + 60_000), undefined);
  expect(lines.at(-1)?.line).toMatchObject({ code: "heartbeat_lost", leftOut: 970 });
});
