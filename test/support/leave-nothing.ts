/**
 * After each file of tests in the runtime nothing of it is left: an alarm of one of its rooms would ring among the tests of
 * another file, or just when the runner is between two files and can load nothing, which fails the run.
 */
import { reset } from "cloudflare:test";
import { afterAll } from "vitest";

afterAll(() => reset());
