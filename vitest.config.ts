import "./scripts/node.mjs";
import { availableParallelism } from "node:os";
import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig, type TestProjectConfiguration } from "vitest/config";
import { FACTOR, factor, patience } from "./test/support/patience.ts";

/** For what every project has: how slow this machine is, and what a test or hook may take, by what it takes alone. */
function waits(aloneMs: number) {
  const env = { [FACTOR]: String(factor()) };
  return { env, testTimeout: patience(aloneMs), hookTimeout: patience(aloneMs) };
}

/**
 * Tests that run inside the runtime, next to the Worker under test.
 *
 * @param isolate whether each file has an isolate to itself; a second to start it, so only for tests of what isolates keep
 */
function inWorkerd(name: string, isolate: boolean): TestProjectConfiguration {
  return {
    plugins: [
      cloudflareTest({
        wrangler: { configPath: "./test/support/wrangler.toml" },
      }),
    ],
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      setupFiles: "./test/support/leave-nothing.ts",
      isolate,
      ...waits(6_000),
    },
  };
}

export default defineConfig({
  test: {
    // One more than there are cores: some tests wait for what takes its time by the clock, such as a token's end.
    maxWorkers: availableParallelism() + 1,
    // The log of rooms and Worker: tests that are about it listen for themselves.
    onConsoleLog: (line) => !line.startsWith('{"level":'),
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], ...waits(6_000) } },
      inWorkerd("workerd", false),
      // What an isolate keeps for all its rooms and requests: its log, its alerts, its counts, its breakers.
      inWorkerd("isolate", true),
      // Half a minute for one test is too long for `npm test`: `npm run smoke` has it.
      inWorkerd("slow", true),
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          ...waits(15_000),
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "ops",
          include: ["test/ops/**/*.test.ts"],
          ...waits(15_000),
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "package",
          include: ["test/package/**/*.test.ts"],
          globalSetup: "./test/package/pack.ts",
          ...waits(15_000),
        },
      },
      {
        test: {
          name: "packed",
          include: ["test/packed/*.test.ts"],
          globalSetup: "./test/package/pack.ts",
          // An install from the registry is a part of it.
          ...waits(60_000),
          fileParallelism: false,
        },
      },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], ...waits(15_000) } },
    ],
  },
});
