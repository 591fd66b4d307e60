/** Programs that use the packed package, compiled with the strictest settings as their own compilers are set. */
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Project, root, tsc } from "./project.ts";

const projects: Project[] = [];
afterEach(() => {
  for (const project of projects.splice(0)) project.remove();
});

function installed(...args: ConstructorParameters<typeof Project>): Project {
  const project = new Project(...args);
  projects.push(project);
  return project;
}

const COMPILED = { code: 0, text: "" };
const NODE16 = { module: "node16", moduleResolution: "node16" };
const NODENEXT = { module: "nodenext", moduleResolution: "nodenext" };
const BUNDLER = { module: "esnext", moduleResolution: "bundler" };
const RESOLUTIONS = [
  ["node16", NODE16],
  ["nodenext", NODENEXT],
  ["bundler", BUNDLER],
] as const;

describe.each(RESOLUTIONS)("with moduleResolution %s", (_, resolution) => {
  it("C11: a front end compiles with ES2022 alone, without the DOM and without any other package", () => {
    const project = installed();
    project.copy("front");
    expect(project.compile(["front.ts"], { ...resolution, lib: ["ES2022"] })).toEqual(COMPILED);
  });

  it("C11: the WebSocket of `ws`, as documented for Node.js 20, is an option of the client", () => {
    const project = installed(["ws", "@types/ws", "@types/node"]);
    project.copy("front");
    const settings = { ...resolution, lib: ["ES2022"], types: ["node"] };
    expect(project.compile(["node-20.ts"], settings)).toEqual(COMPILED);
  });

  it("C11: the platform's own WebSocket and fetch are options of the client", () => {
    const project = installed();
    project.copy("front");
    expect(project.compile(["browser.ts"], { ...resolution, lib: ["ES2022", "DOM"] })).toEqual(COMPILED);
  });

  it("C11: a component with the hooks compiles", () => {
    const project = installed(["@types/react", "csstype"]);
    project.copy("react");
    const settings = { ...resolution, lib: ["ES2022", "DOM"], jsx: "react-jsx" };
    expect(project.compile(["page.tsx"], settings)).toEqual(COMPILED);
  });

  it("E15: a Worker compiles with hono and the runtime's types; jose and cockatiel are not there", () => {
    const project = installed(["hono", "@cloudflare/workers-types"]);
    project.copy("worker");
    const settings = { ...resolution, lib: ["ES2022"], types: ["@cloudflare/workers-types"] };
    expect(project.compile(["worker.ts"], settings)).toEqual(COMPILED);
  });
});

it.each([
  ["node16", NODE16],
  ["nodenext", NODENEXT],
] as const)("C11: a CommonJS program compiles with moduleResolution %s", (_, resolution) => {
  const project = installed(["@types/react", "csstype"], "commonjs");
  project.copy("commonjs");
  const settings = { ...resolution, lib: ["ES2022", "DOM"], verbatimModuleSyntax: false };
  expect(project.compile(["required.cts"], settings)).toEqual(COMPILED);
});

it("C11: client and hooks use nothing of the language's library that is newer than ES2022", () => {
  const project = installed();
  expect(project.node(tsc, "-p", join(root, "tsconfig.client.json"))).toEqual(COMPILED);
});

it("a program with a mistake does not compile", () => {
  const project = installed();
  project.write("wrong.ts", 'import { connect } from "edgerooms/client";\nconnect("http://x", { rooms: "y" });\n');
  expect(project.compile(["wrong.ts"], { ...NODE16, lib: ["ES2022"] })).toMatchObject({
    code: 1,
    text: expect.stringContaining("'rooms' does not exist in type 'ConnectOptions'") as string,
  });
});
