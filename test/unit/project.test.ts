/** What the command and `npm start` say of the packages of a Worker's project. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { complaintsOf } from "../../src/cli/project.ts";
import { root } from "../support/sources.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "edgerooms-project-"));
  writeFileSync(join(folder, "wrangler.toml"), "");
  writeFileSync(
    join(folder, "own.json"),
    JSON.stringify({ peerDependencies: { hono: "^4.13.0", wrangler: ">=4.126.0" } }),
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function install(name: string, version: string): void {
  mkdirSync(join(folder, "node_modules", name), { recursive: true });
  writeFileSync(join(folder, "node_modules", name, "package.json"), JSON.stringify({ name, version }));
}
const complaints = (at = folder) => complaintsOf(at, join(folder, "own.json"));

it.each(["4.125.9", "4.9.200", "3.999.0", "4.125.0-beta.1"])(
  "E5: wrangler %s is too old, and the sentence names both",
  (old) => {
    install("wrangler", old);
    install("hono", "4.13.0");
    expect(complaints()).toEqual([`wrangler ${old} is older than edgerooms needs: install 4.126.0 or newer.`]);
  },
);

it.each(["4.126.0", "4.126.1", "4.200.0", "5.0.0"])("E5: wrangler %s is new enough", (version) => {
  install("wrangler", version);
  expect(complaints()).toEqual([]);
});

it("E5: packages are found in the folders above, as Node.js finds them", () => {
  install("wrangler", "4.80.0");
  mkdirSync(join(folder, "worker"));
  writeFileSync(join(folder, "worker/wrangler.jsonc"), "{}");
  expect(complaints(join(folder, "worker"))).toHaveLength(1);
});

it("E5: where there is no Worker, nothing is said", () => {
  install("wrangler", "4.80.0");
  rmSync(join(folder, "wrangler.toml"));
  expect(complaints()).toEqual([]);
});

it("E5: this repository's own packages are new enough for what it declares", () => {
  const own = join(root, "package.json");
  expect(JSON.parse(readFileSync(own, "utf8"))).toMatchObject({ peerDependencies: { wrangler: ">=4.126.0" } });
  expect(complaintsOf(root, own)).toEqual([]);
});
