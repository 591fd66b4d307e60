/** What is in the tarball, and what its package.json says of it. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { build } from "esbuild";
import { describe, expect, inject, it } from "vitest";
import { Project, root } from "./project.ts";

const { folder, tarball } = inject("packed");
const text = (path: string) => readFileSync(join(folder, path), "utf8");
const manifest = JSON.parse(text("package.json")) as {
  readonly dependencies?: object;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
  readonly engines: { readonly node: string };
};
const files = readdirSync(folder, { recursive: true, encoding: "utf8" });

/** The packages that a file of it imports, as a bundler sees it. */
async function imports(path: string): Promise<string[]> {
  const { metafile } = await build({
    entryPoints: [join(folder, path)],
    bundle: true,
    packages: "external",
    external: ["cloudflare:*"],
    platform: "neutral",
    metafile: true,
    write: false,
  });
  const all = Object.values(metafile.inputs).flatMap((input) => input.imports.map((one) => one.path));
  return [...new Set(all.map((name) => (name.includes(":") ? name : (name.split("/")[0] ?? ""))))].toSorted();
}

/** The modules that a declaration file names. */
const named = (path: string) => [...text(path).matchAll(/\b(?:from |import\()"([^"]+)"/g)].map(([, name = ""]) => name);

describe("E15: what an install brings", () => {
  it("no other package: npm must be allowed to leave out every peer", () => {
    expect(manifest.dependencies).toBeUndefined();
    for (const peer of Object.keys(manifest.peerDependencies)) {
      expect(manifest.peerDependenciesMeta[peer], peer).toEqual({ optional: true });
    }
  });

  it.each([
    ["dist/server.js", ["cloudflare:workers", "hono"]],
    ["dist/client/client.js", []],
    ["dist/cjs/client/client.js", []],
    ["dist/react/react.js", ["edgerooms", "react"]],
    ["dist/cjs/react/react.js", ["edgerooms", "react"]],
  ])("%s imports only %j", async (path, allowed) => {
    expect(await imports(path)).toEqual(allowed);
  });

  it("the command imports only Node.js", async () => {
    expect((await imports("dist/cli/main.js")).filter((name) => !name.startsWith("node:"))).toEqual([]);
  });

  it("no declaration names a package that is not a peer", () => {
    const peers = [...Object.keys(manifest.peerDependencies), "cloudflare"];
    const declared = files.filter((path) => path.endsWith(".d.ts")).flatMap(named);
    const strangers = declared.filter((name) => !name.startsWith(".") && !peers.includes(name.split(/[/:]/)[0] ?? ""));
    expect(strangers).toEqual([]);
  });

  it("the licences of what was bundled are there", () => {
    for (const name of ["jose", "cockatiel"]) {
      const { version } = JSON.parse(readFileSync(join(root, "node_modules", name, "package.json"), "utf8")) as {
        version: string;
      };
      expect(text("dist/THIRD-PARTY-LICENSES.txt")).toContain(`${name} ${version} (MIT)`);
    }
  });
});

describe("E15: what is said of the package is true", () => {
  const run = (bin: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(join(root, "node_modules/.bin", bin), args, { encoding: "utf8" });
    return { code: status, text: stdout + stderr };
  };

  it("publint has nothing to say", () => {
    expect(run("publint", "run", tarball, "--strict")).toMatchObject({ code: 0 });
  });

  it("Are The Types Wrong finds nothing in the entries of clients", () => {
    const entries = ["--entrypoints", "./client", "./members", "./react"];
    const said = run("attw", tarball, "--profile", "node16", "--no-emoji", ...entries);
    expect(said, said.text).toMatchObject({ code: 0 });
  });

  it("Are The Types Wrong finds nothing in the entry of Workers, which is ESM alone", () => {
    const said = run("attw", tarball, "--profile", "esm-only", "--no-emoji", "--entrypoints", ".");
    expect(said, said.text).toMatchObject({ code: 0 });
  });
});

describe("T31: what the documents link to", () => {
  const documents = files.filter((path) => path.endsWith(".md"));

  it("there are documents", () => {
    expect(documents).toContain("README.md");
    expect(documents.length).toBeGreaterThan(10);
  });

  it.each(documents)("%s links only to what is in the package, or to an address", (path) => {
    const targets = [...text(path).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    const relative = targets.filter((target) => !/^(?:https?:|mailto:|#)/.test(target));
    const missing = relative.filter(
      (target) => !existsSync(join(folder, normalize(join(dirname(path), target.replace(/#.*/, ""))))),
    );
    expect(missing).toEqual([]);
  });
});

describe("C11: a CommonJS program", () => {
  it.each(["edgerooms/client", "edgerooms/members", "edgerooms/react"])(
    "requires %s without Node's loading of ES modules",
    (entry) => {
      const project = new Project(["react"], "commonjs");
      try {
        project.write("main.cjs", `console.log(Object.keys(require(${JSON.stringify(entry)})).length > 1);`);
        expect(project.node("--no-experimental-require-module", "main.cjs")).toEqual({ code: 0, text: "true\n" });
      } finally {
        project.remove();
      }
    },
  );
});
