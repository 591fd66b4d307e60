/**
 * Packs the package once for all tests of this folder, as `npm publish` would, and hands them the folder: the tarball is
 * unpacked there. Runs before the tests, in vitest's main process.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    /** The tarball, and the folder of what is in it. */
    packed: { readonly tarball: string; readonly folder: string };
  }
}

export default function setup(project: TestProject): () => void {
  const place = mkdtempSync(join(tmpdir(), "edgerooms-package-"));
  const root = join(import.meta.dirname, "../..");
  execFileSync("npm", ["pack", "--silent", "--pack-destination", place], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [name = ""] = readdirSync(place);
  const tarball = join(place, name);
  mkdirSync(join(place, "unpacked"));
  execFileSync("tar", ["xzf", tarball, "-C", join(place, "unpacked")]);
  project.provide("packed", { tarball, folder: join(place, "unpacked/package") });
  return () => rmSync(place, { recursive: true, force: true });
}
