/** docs/guides/operate.md against the code: severities, metrics, the doubles of a data point. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataPointDoubles, prometheusText } from "../../src/ops/metrics.ts";
import { codes } from "../../src/protocol/codes.ts";

const doc = readFileSync(join(import.meta.dirname, "../../docs/guides/operate.md"), "utf8");

/** The cells of the table rows that begin with a word in backquotes. */
const rows = doc
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| |\|$/g, "").trim()));
const named = (text: string) => [...text.matchAll(/`(\w+)`/g)].map(([, name]) => name);

describe("docs/guides/operate.md", () => {
  it.each(["info", "warn", "error", "alert"])("lists every code of severity %s, and no other", (severity) => {
    const row = rows.find(([first]) => first === `\`${severity}\``);
    const expected = Object.entries(codes).filter(([, code]) => code.severity === severity);
    expect(named(row?.[2] ?? "")).toEqual(expected.map(([name]) => name));
  });

  it("lists every metric with its type and meaning, and no other", () => {
    const told = [...prometheusText({ totals: {}, breakers: [] }).matchAll(/^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$/gm)];
    const expected = told.map(([, name, help, type]) => [name, type, help]);
    const documented = rows.filter(([first]) => first?.startsWith("`edgerooms_"));
    expect(documented.map(([name, type, , meaning]) => [name?.replaceAll("`", ""), type, meaning])).toEqual(expected);
    expect(expected.length).toBeGreaterThan(20);
  });

  it("gives the doubles of a data point in their order", () => {
    const [, list = ""] = /doubles in this order: (.*?)\. Counts are/s.exec(doc) ?? [];
    expect(named(list)).toEqual([...dataPointDoubles]);
  });
});
