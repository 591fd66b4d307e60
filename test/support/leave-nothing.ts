/**
 * After each file of tests in the runtime nothing of it is left: an alarm of one of its rooms would ring among the tests of
 * another file, or just when the runner is between two files and can load nothing, which fails the run.
 */
import { reset } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterAll } from "vitest";

afterAll(async () => {
  await reset();
  // Every event of an object asks the runner for the Worker's module, and so does this request. It is answered after all
  // that were on their way when the objects went.
  const response = await exports.default.fetch("http://edge.test/healthz");
  await response.body?.cancel();
});
