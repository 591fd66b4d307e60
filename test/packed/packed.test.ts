/** The packed package where users install it: a front end, a Worker on the oldest and on this wrangler, and its tests. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Installed } from "./installed.ts";

const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
};
/** The oldest version that a peer's range takes. */
const floor = (name: string) => `${name}@${manifest.peerDependencies[name]?.replace(/^\D+/, "")}`;
/** The version that this repository uses. */
const locked = (name: string) => `${name}@${manifest.devDependencies[name]}`;

let project: Installed;
afterEach(() => project.remove());

it("E15: a front end that installs it gets nothing else", () => {
  project = new Installed();
  project.install();
  expect(readdirSync(join(project.folder, "node_modules")).filter((name) => !name.startsWith("."))).toEqual([
    "edgerooms",
  ]);
});

describe.each([
  ["the oldest wrangler and hono, TypeScript 5.7", floor("wrangler"), floor("hono"), "typescript@5.7.3"],
  ["this repository's", locked("wrangler"), locked("hono"), locked("typescript")],
])("with %s", (_, ...packages) => {
  it("E5: install, types, dev, and one resumed message", async () => {
    project = new Installed();
    project.install(...packages);
    project.copyProject();
    expect(project.run("wrangler", "types")).toMatchObject({ code: 0 });
    expect(project.run("tsc", "-p", ".")).toMatchObject({ code: 0, out: "" });
    const url = await project.dev();
    const token = project.run("edgerooms", "token", "ann");
    expect(token).toMatchObject({ code: 0, err: "" });
    expect(project.run(process.execPath, "member.mjs", url, token.out.trim())).toEqual({
      code: 0,
      out: '["before","after"]\n',
      err: "",
    });
  });
});

it("E5: an older wrangler is refused by npm, which names the version that is needed", () => {
  project = new Installed();
  expect(() => project.install("wrangler@4.104.0")).toThrow(/peerOptional wrangler@">=4\.126\.0"/);
});

it("T19: its tests run on the runtime that the test plugin brings, with the date of the README", () => {
  project = new Installed();
  const plugin = manifest.devDependencies["@cloudflare/vitest-pool-workers"]?.replace(/^npm:/, "") ?? "";
  project.install(locked("hono"), locked("wrangler"), locked("vitest"), plugin);
  project.copyProject();
  const said = project.run("vitest", "run");
  expect(said, said.out + said.err).toMatchObject({ code: 0 });
  expect(said.out).toMatch(/Tests +1 passed/);
});
