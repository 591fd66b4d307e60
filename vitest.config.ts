import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

const { MODEL_SEED, MODEL_SCHEDULES } = process.env;

export default defineConfig({
  test: {
    // The log of rooms and Worker: tests that are about it listen for themselves.
    onConsoleLog: (line) => !line.startsWith('{"level":'),
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"] } },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./test/support/wrangler.toml" },
            // See test/model: one seed to reproduce, or how many schedules to try.
            miniflare: { bindings: { MODEL_SEED: MODEL_SEED ?? "", MODEL_SCHEDULES: MODEL_SCHEDULES ?? "500" } },
          }),
        ],
        test: {
          name: "workerd",
          include: ["test/workerd/**/*.test.ts", "test/model/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
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
