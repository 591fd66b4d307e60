import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig, type TestProjectConfiguration } from "vitest/config";

const { MODEL_SEED, MODEL_SCHEDULES } = process.env;

/** Tests that run inside the runtime, next to the Worker under test. */
function inWorkerd(name: string, include: string[]): TestProjectConfiguration {
  return {
    plugins: [
      cloudflareTest({
        wrangler: { configPath: "./test/support/wrangler.toml" },
        // See test/model: one seed to reproduce, or how many schedules to try.
        miniflare: { bindings: { MODEL_SEED: MODEL_SEED ?? "", MODEL_SCHEDULES: MODEL_SCHEDULES ?? "500" } },
      }),
    ],
    test: { name, include, testTimeout: 20_000 },
  };
}

export default defineConfig({
  test: {
    // The log of rooms and Worker: tests that are about it listen for themselves.
    onConsoleLog: (line) => !line.startsWith('{"level":'),
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      inWorkerd("workerd", ["test/workerd/**/*.test.ts", "test/model/**/*.test.ts"]),
      // Half a minute for one test is too long for `npm test`: `npm run smoke` has it.
      inWorkerd("slow", ["test/slow/**/*.test.ts"]),
      {
        test: {
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "ops",
          include: ["test/ops/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
      { test: { name: "e2e", include: ["test/e2e/**/*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 } },
    ],
  },
});
