/** Every wait of a test goes through test/support/patience.ts: no fixed patience, no fixed sleep, no bound in ms. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";
import { Changes, eventually, patience } from "../support/patience.ts";

const root = join(import.meta.dirname, "..");

/** What nobody writes, why, and a line of each kind that must be found. */
const forbidden: readonly (readonly [pattern: RegExp, instead: string, example: string])[] = [
  [/\bvi\.wait(?:For|Until)\b|\bexpect\.poll\b/, "eventually()", "await vi.waitFor(() => expect(1).toBe(1));"],
  [/\bPATIENCE\b/, "patience()", "const PATIENCE = 4_000;"],
  [/\b(?:t|\w+T)imeout: [\d_]{4,}/, "patience()", '{ name: "e2e", testTimeout: 60_000 }'],
  [/\bsetDefault\w*Timeout\([\d_]/, "patience()", "page.setDefaultTimeout(30_000);"],
  [/\bAbortSignal\.timeout\([\d_]/, "patience()", "signal: AbortSignal.timeout(2_000)"],
  [/\b(?:deadline|end|until) = \w+\.now\(\) \+ [\d_]/, "patience()", "const deadline = Date.now() + 30_000;"],
  [/\b(?:pause|sleep|waitForTimeout)\([\d_]+\)/, "eventually()", "await page.waitForTimeout(500);"],
  [/\bsetTimeout\(\w+, [\d_]+\)/, "eventually()", "await new Promise((resolve) => setTimeout(resolve, 50));"],
  [
    /\b(?:now\(\) - |took|elapsed)[^;]*?\.toBeLessThan(?:OrEqual)?\([\d_]+\)/s,
    "a ratio within one run, or a count",
    "expect(performance.now() - started).toBeLessThan(2_000);",
  ],
];

// Time in the simulator is virtual: what its people wait for costs nothing.
const files = ["vitest.config.ts", ...sourcesIn(root)].filter((path) => !path.endsWith("/patience.ts"));

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.m?ts$|\.mjs$/.test(entry.name))
    .map((entry) => relative(join(root, ".."), join(entry.parentPath, entry.name)))
    .filter((path) => path !== "test/unit/patience.test.ts" && !path.startsWith("test/sim/"));
}

it("no test waits by a patience, a sleep or a bound of its own", () => {
  expect(files.length).toBeGreaterThan(100);
  const found = files.flatMap((path) => {
    const text = readFileSync(join(root, "..", path), "utf8");
    return forbidden.flatMap(([pattern, instead]) =>
      [...text.matchAll(new RegExp(pattern, `${pattern.flags}g`))].map((match) => {
        const line = text.slice(0, match.index).split("\n").length;
        return `${path}:${line} has ${match[0]}; write ${instead}`;
      }),
    );
  });
  expect(found).toEqual([]);
});

it.each(forbidden)("%s is found where it stands", (pattern, _instead, example) => {
  expect(example).toMatch(pattern);
});

it("a wait is ten times what was measured alone, times the machine, and never shorter", () => {
  const wanted = Number(process.env["TEST_PATIENCE"] ?? 1);
  expect(patience(100)).toBeGreaterThanOrEqual(1_000 * wanted);
  expect(patience(200)).toBeCloseTo(2 * patience(100), -1);
});

it("a wait ends when the condition holds, and says at its end what was missing", async () => {
  let looks = 0;
  expect(await eventually(() => ++looks > 2 && "there")).toBe("there");
  expect(looks).toBe(3);
  await expect(eventually(() => false, { what: "a miracle", aloneMs: 1 })).rejects.toThrow("for a miracle");
  const fails = () => Promise.reject(new Error("not yet"));
  await expect(eventually(fails, { aloneMs: 1 })).rejects.toThrow("not yet");
});

it("who waits for a change looks at once and after every change", async () => {
  const changes = new Changes();
  let looks = 0;
  const waited = changes.until(
    () => ++looks === 3,
    () => "a third look",
  );
  changes.notify();
  await Promise.resolve();
  changes.notify();
  await waited;
  expect(looks).toBe(3);
  await expect(
    changes.until(
      () => false,
      () => "a miracle",
      1,
    ),
  ).rejects.toThrow("for a miracle");
});
