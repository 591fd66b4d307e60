/**
 * CONTRIBUTING.md, RELEASING.md and the README against the repository: what they tell people to run or to change exists, no
 * duration is claimed that nobody measures, and questions that people ask have an answer that the README leads to.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsIn, linksIn } from "../support/markdown.ts";
import { root } from "../support/sources.ts";

const read = (path: string) => readFileSync(join(root, path), "utf8");
const text = read("CONTRIBUTING.md");
const scripts = Object.keys((JSON.parse(read("package.json")) as { scripts: object }).scripts);

/** The text below a heading, up to the next one of its level. */
function section(title: string): string {
  const [, below = ""] = text.split(`\n## ${title}\n`);
  return below.split("\n## ")[0] ?? "";
}

describe("CONTRIBUTING.md", () => {
  it("T28: names only commands that exist", () => {
    const named = [...text.matchAll(/\bnpm (?:run )?([a-z][\w:-]*)/g)].map(([, name = ""]) => name);
    expect(named.length).toBeGreaterThan(20);
    const known = [...scripts, "ci", "install", "publish", "has"];
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it("T28: every test suite and tool is in the table of commands", () => {
    const missing = scripts.filter((name) => !new RegExp(`\`(?:npm (?:run )?)?${name}[\` ]`).test(text));
    // What other scripts run, or what is wrangler's.
    expect(missing).toEqual(["build", "prepack", "deploy", "cli", "drain", "bench:plots"]);
  });

  it("T28: claims no duration, except the one that is a default of the command", () => {
    const number = "\\d[\\d.,]*|one|two|three|four|five|ten|half an?|an?";
    const durations = text.match(new RegExp(`\\b(?:${number}) (?:ms|s|seconds?|minutes?|hours?)\\b`, "gi"));
    expect(durations).toEqual(["Two minutes"]);
    expect(read("test/chaos/main.ts")).toContain('minutes: { type: "string", default: "2" }');
  });

  it.each(["Add a frame", "Add a code", "Add a metric", "Change the storage"])(
    "T29: '%s' names files that exist",
    (title) => {
      const paths = [...section(title).matchAll(/`((?:[\w-]+\/)+[\w.-]*)`/g)].map(([, path = ""]) => path);
      expect(paths.length).toBeGreaterThan(0);
      expect(paths.filter((path) => !["", "src"].some((from) => existsSync(join(root, from, path))))).toEqual([]);
    },
  );

  it("T29: 'Add a frame' names every file of the source and the simulator that lists types of frames", () => {
    const frames = section("Add a frame");
    for (const path of ["protocol/frames.ts", "protocol/codec.ts", "room/core/frames.ts", "client/session/frames.ts"]) {
      expect(frames.includes(path), path).toBe(true);
    }
    // Switches and tables over the types of a frame: one that the list lacks would be found by nobody.
    const files = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".ts"),
    );
    const listing = files.filter((path) => {
      const source = read(join("src", path));
      return ["publish", "signal", "presence", "call", "sync"].every((type) => source.includes(`case "${type}"`));
    });
    expect(listing.toSorted()).toEqual(["protocol/codec.ts", "room/core/frames.ts"]);
  });
});

describe("the README", () => {
  const readme = read("README.md");
  const links = linksIn(readme);

  it.each([
    ["regions", "docs/guides/deploy.md#questions-that-come-up", /Regions: where does a room run\?/],
    ["deleting a room", "docs/guides/deploy.md#questions-that-come-up", /Deleting a room/],
    ["deleting what somebody said", "docs/guides/deploy.md#questions-that-come-up", /Deleting what somebody said/],
    ["backups", "docs/guides/deploy.md#questions-that-come-up", /Backup, export/],
    ["HTTPS on one's machine", "docs/guides/deploy.md#questions-that-come-up", /--local-protocol https/],
    ["an upgrade", "docs/guides/deploy.md", /## Upgrade edgerooms/],
    ["a rollback", "docs/guides/deploy.md", /npx wrangler rollback/],
    ["phones", "docs/guides/platforms.md", /## Phones/],
    ["other languages", "docs/guides/other-languages.md", /WebSocket/],
    ["the bill", "docs/guides/cost.md", /## Prices/],
    ["partyserver", "docs/guides/migrating.md", /## From partyserver/],
  ])("T31: leads to an answer about %s", (_, link, answer) => {
    expect(links).toContain(link);
    const [path = "", anchor] = link.split("#");
    const document = read(normalize(path));
    if (anchor !== undefined) expect([...anchorsIn(document)]).toContain(anchor);
    expect(answer.test(document)).toBe(true);
  });

  it("T31: says when something else is better", () => {
    for (const other of ["partyserver", "Agents SDK", "managed service", "bare Durable Object"]) {
      expect(readme.split("## Try it")[0]).toContain(other);
    }
  });
});

describe("RELEASING.md", () => {
  const steps = read("RELEASING.md");
  const workflow = read(".github/workflows/publish.yml");

  it("names scripts and files that exist", () => {
    const named = [...steps.matchAll(/`(?:npm run )?([a-z]+:dry)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !scripts.includes(name))).toEqual([]);
    expect(steps).toContain(".github/workflows/publish.yml");
  });

  it("and the workflow agree: a dry run first, no stored token, prereleases apart", () => {
    const order = [
      "The tag is the version",
      "npm ci --ignore-scripts",
      "npm run release:dry -- --tagged",
      "npm publish",
    ];
    const places = order.map((step) => workflow.indexOf(step));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(workflow).toContain("id-token: write");
    expect(workflow).not.toMatch(/secrets\.|NODE_AUTH_TOKEN/);
    expect(workflow).toMatch(/\*-\*\) npm publish .*--tag next/);
  });

  it("the dry run is a step of CI", () => {
    expect(read(".ci/run")).toMatch(/^step .* npm run release:dry$/m);
  });
});
