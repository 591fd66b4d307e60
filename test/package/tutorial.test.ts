/**
 * docs/start/tutorial.md and the README as they stand: their files, their commands, on the packed package and a real `wrangler
 * dev`. Only what a registry or an account is needed for is not run: installing links what this repository has.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { afterEach, expect, it } from "vitest";
import { eventually, patience } from "../support/patience.ts";
import { freePort } from "../support/port.ts";
import { commandsOf, fileNameOf, snippetsOf, type Snippet } from "../support/snippets.ts";
import { Project, root } from "./project.ts";
import { environment, Terminal } from "./terminal.ts";

const DEV = "npx wrangler dev";
const SITE = "http://localhost:8787";
const OPEN = /^\(open\)$/m;

const projects: Project[] = [];
const terminals: Terminal[] = [];
afterEach(async () => {
  await Promise.all(terminals.splice(0).map((terminal) => terminal.stop()));
  for (const project of projects.splice(0)) project.remove();
});

function open(folder: string, command: string): Terminal {
  const terminal = new Terminal(folder, command);
  terminals.push(terminal);
  return terminal;
}

/** A project with what the documents install: the packed package, and tools from here. */
function installed(): Project {
  const project = new Project(["hono", "jose", "wrangler", "typescript", "vitest"]);
  projects.push(project);
  const modules = join(project.folder, "node_modules");
  mkdirSync(join(modules, "@cloudflare"));
  // Here the plugin has the name that it had before.
  symlinkSync(join(root, "node_modules/@cloudflare/vitest-pool-workers"), join(modules, "@cloudflare/vitest-plugin"));
  mkdirSync(join(modules, ".bin"));
  for (const bin of ["wrangler", "tsc", "vitest"])
    symlinkSync(join(root, "node_modules/.bin", bin), join(modules, ".bin", bin));
  mkdirSync(join(project.folder, "src"));
  mkdirSync(join(project.folder, "test"));
  mkdirSync(join(project.folder, "public"));
  return project;
}

/** Writes the files of a document into a project. */
function writeFiles(project: Project, snippets: readonly Snippet[]): string[] {
  return snippets.flatMap((snippet) => {
    const name = snippet.language === "sh" ? undefined : fileNameOf(snippet);
    if (name === undefined) return [];
    project.write(name, snippet.text);
    return [name];
  });
}

/** Runs a command of a document, which must succeed. */
function run(folder: string, command: string): string {
  const { status, stdout, stderr } = spawnSync("bash", ["-c", command], {
    cwd: folder,
    env: environment,
    encoding: "utf8",
  });
  expect(status, `${command}\n${stdout}${stderr}`).toBe(0);
  return stdout + stderr;
}

/** Starts `wrangler dev` on a port and waits until it answers. */
async function dev(folder: string, port: number): Promise<Terminal> {
  const server = open(folder, `${DEV} --ip 127.0.0.1 --port ${port} --inspector-port 0`);
  await server.says(/Ready on http/);
  return server;
}

/** The client of docs/guides/other-languages.md joins the room of the tutorial, hears and publishes. */
async function withoutThePackage(project: Project, port: number, ann: Terminal): Promise<Terminal> {
  const [raw] = snippetsOf("docs/guides/other-languages.md");
  project.write("raw.mjs", raw?.text ?? "");
  const login = await fetch(`http://localhost:${port}/login`, {
    method: "POST",
    body: JSON.stringify({ user: "carl" }),
  });
  const { token } = await login.json<{ token: string }>();
  const carl = open(project.folder, `node raw.mjs ws://localhost:${port}/rooms/chat/lobby ${token}`);
  await carl.says(/^reset: new$/m);
  ann.type("to carl");
  await carl.says(/^ann to carl$/m);
  carl.type("from carl");
  await ann.says(/^carl: from carl$/m);
  await carl.says(/^carl from carl$/m);
  return carl;
}

it("T21, T26: the tutorial, as it stands: two people, a cut line, a server that stops, a test, what would be deployed", async () => {
  const began = performance.now();
  const took: string[] = [];
  const mark = (what: string) => took.push(`${what} at ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  const snippets = snippetsOf("docs/start/tutorial.md");
  const project = installed();
  const { folder } = project;
  expect(writeFiles(project, snippets)).toEqual([
    "src/index.ts",
    "wrangler.toml",
    "tsconfig.json",
    "client.mjs",
    "public/index.html",
    "vitest.config.ts",
    "test/chat.test.ts",
  ]);
  const commands = snippets.filter(({ language }) => language === "sh").flatMap(commandsOf);
  expect(commands.slice(0, 6)).toEqual([
    "mkdir my-rooms && cd my-rooms",
    "mkdir src test public",
    "npm init -y",
    "npm pkg set type=module",
    "npm install ../edgerooms/edgerooms-0.1.0.tgz hono jose",
    "npm install --save-dev wrangler typescript vitest @cloudflare/vitest-plugin",
  ]);
  const serving = commands.indexOf(DEV);
  for (const command of commands.slice(6, serving)) run(folder, command);
  mark("types are checked");

  const port = await freePort();
  const server = await dev(folder, port);
  mark("the server answers");
  const [copying = "", ...later] = commands.slice(serving + 3);
  expect(commands.slice(serving + 1, serving + 3)).toEqual(["node client.mjs ann", "node client.mjs bob"]);
  const [ann, bob] = ["ann", "bob"].map((user) => open(folder, `node client.mjs ${user} http://localhost:${port}`));
  if (!ann || !bob) throw new Error("unreachable");
  await Promise.all([ann.says(OPEN), bob.says(OPEN)]);
  ann.type(" hello ");
  await bob.says(/^ann: hello$/m);
  ann.type("");
  await ann.says(/^\(refused: A message is a text\.\)$/m);
  bob.type("/off");
  await bob.says(/^\(closed\)$/m);
  for (const line of ["one", "two", "three"]) ann.type(line);
  await ann.says(/^ann: three$/m);
  bob.type("/on");
  await bob.says(/^\(resumed: nothing was missed\)$/m);
  await bob.says(/^ann: one\nann: two\nann: three$/m);
  mark("the first message is resumed");
  const carl = await withoutThePackage(project, port, ann);

  await server.stop();
  await ann.says(/^\(reconnecting\)$/m);
  ann.type("four");
  await dev(folder, port);
  await bob.says(/^ann: four$/m, 30_000);
  expect(bob.lines.filter((line) => line.startsWith("ann: "))).toEqual(
    ["hello", "one", "two", "three", "to carl", "four"].map((text) => `ann: ${text}`),
  );
  await carl.says(/^resumed\nann four$/m, 30_000);
  mark("what was written while the server was down has arrived");

  // What a browser does with the page: test/browser/tutorial.test.ts.
  run(folder, copying);
  await eventually(async () => {
    const client = await fetch(`http://localhost:${port}/edgerooms.js`);
    expect(client.headers.get("content-type")).toContain("javascript");
    expect(await client.text()).not.toMatch(/^import /m);
  });

  expect(later).toEqual([
    "npx vitest run",
    "npx wrangler deploy --dry-run",
    "npx wrangler deploy",
    "npx wrangler secret put AUTH_SECRET",
  ]);
  await Promise.all(terminals.splice(0).map((terminal) => terminal.stop()));
  // A reader's machine has nothing else to do.
  const patiently = `npx vitest run --test-timeout ${patience(1_000)}`;
  expect(run(folder, patiently)).toMatch(/Tests +2 passed/);
  mark("its test has passed");
  expect(writeFiles(project, snippetsOf("docs/guides/testing.md"))).toEqual([
    "test/server.test.ts",
    "test/socket.ts",
    "test/members.test.ts",
  ]);
  expect(run(folder, `npx tsc && ${patiently}`)).toMatch(/Tests +4 passed/);
  mark("the tests of guides/testing.md have passed");
  expect(run(folder, "npx wrangler deploy --dry-run")).toContain("env.CHAT_ROOM");
  mark("the dry run of the deployment is over");
  console.log(`tutorial: ${took.join("; ")}`);
});

it("T21: the README's server and client, as they stand, in a project of one's own", async () => {
  const snippets = snippetsOf("README.md");
  const project = installed();
  const { folder } = project;
  expect(writeFiles(project, snippets)).toEqual(["src/index.ts", "wrangler.toml"]);
  project.write(".dev.vars", `AUTH_SECRET=${"only-for-this-test-".repeat(2)}\n`);
  project.write(
    "tsconfig.json",
    snippetsOf("docs/start/tutorial.md").find(({ language }) => language === "json")?.text ?? "",
  );
  run(folder, "npx wrangler types && npx tsc");
  const port = await freePort();
  await dev(folder, port);
  const client = snippets.find(({ language }) => language === "js")?.text ?? "";
  expect(client).toContain(SITE);
  project.write("client.mjs", client.replace(SITE, `http://localhost:${port}`));
  await open(folder, "node client.mjs").says(/^ann hello$/m);
});
