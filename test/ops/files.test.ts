/** The files of ops/ by themselves: Prometheus' own tools read them, and they speak of the metrics that there are. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { prometheusText } from "../../src/ops/metrics.ts";
import { expressions } from "./dashboard.ts";

const OPS = join(import.meta.dirname, "../../ops");
const read = (name: string) => readFileSync(join(OPS, name), "utf8");
const promtool = (...args: string[]) => execFileSync("promtool", args, { cwd: OPS, encoding: "utf8", stdio: "pipe" });

it("alert rules are valid and do in their tests what they say", () => {
  expect(promtool("check", "rules", "alerts.yml")).toContain("SUCCESS");
  expect(promtool("test", "rules", "alerts.test.yml")).toContain("SUCCESS");
});

it("every alert says what it is and what to do, and fires in a test", () => {
  const rules = read("alerts.yml").split("- alert: ").slice(1);
  expect(rules.length).toBeGreaterThanOrEqual(7);
  const tests = read("alerts.test.yml");
  for (const rule of rules) {
    const [name = ""] = rule.split("\n");
    for (const field of ["summary:", "description:", "action:", "severity:"]) expect(rule, name).toContain(field);
    expect(tests).toContain(name);
  }
});

it("the example configuration is valid", () => {
  expect(promtool("check", "config", "--syntax-only", "prometheus.yml")).toContain("SUCCESS");
});

it("dashboard and rules name no metric that does not exist, and leave none out", () => {
  const page = prometheusText({ totals: {}, breakers: [] });
  const known = new Set([...page.matchAll(/^# TYPE (edgerooms_\w+)/gm)].map(([, name]) => name));
  const named = (text: string) =>
    new Set([...text.matchAll(/edgerooms_[a-z_]+/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, "")));
  const onDashboard = named(expressions().join("\n"));
  const rules = read("alerts.yml")
    .split("\n")
    .filter((line) => /edgerooms_\w+[{[ )]/.test(line));
  expect([...onDashboard].filter((name) => !known.has(name))).toEqual([]);
  expect([...named(rules.join("\n"))].filter((name) => !known.has(name))).toEqual([]);
  expect([...known].filter((name) => name !== undefined && !onDashboard.has(name))).toEqual([]);
});
