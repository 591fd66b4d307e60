/** What package-lock.json promises: the same packages everywhere, from anywhere, without programs that run at install. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../support/sources.ts";

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const read = (path: string) => readFileSync(join(root, path), "utf8");
const { packages } = JSON.parse(read("package-lock.json")) as { packages: Readonly<Record<string, Locked>> };
/** Those that come from a registry: not this project, not its own folders, not links to them. */
const fetched = Object.entries(packages).filter(([path, { link }]) => path.includes("node_modules/") && !link);

describe("E15: the lock file", () => {
  it("has the integrity of every package", () => {
    expect(fetched.length).toBeGreaterThan(200);
    expect(fetched.filter(([, { integrity }]) => !integrity?.startsWith("sha512-")).map(([path]) => path)).toEqual([]);
  });

  it("has every package of every platform", () => {
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });

  it("names no registry: npm asks the one that it is told to ask", () => {
    expect(fetched.flatMap(([, { resolved }]) => resolved ?? [])).toEqual([]);
  });

  it("has install scripts only of packages that work without", () => {
    // Both have their program in a package for the platform, and start it from there when the script has not run.
    const known = ["node_modules/esbuild", "node_modules/protobufjs", "node_modules/workerd"];
    expect(fetched.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path)).toEqual(known);
  });

  it("pins every package that this project installs itself", () => {
    const { devDependencies } = JSON.parse(read("package.json")) as { devDependencies: Record<string, string> };
    const loose = Object.entries(devDependencies).filter(
      ([, range]) => !/^(?:npm:.+@)?\d+\.\d+\.\d+(?:-\w+)?$/.test(range),
    );
    expect(loose).toEqual([["edgerooms-node", "file:scripts/node"]]);
  });
});

describe("E15: the Node.js of the tools", () => {
  it("every script that runs TypeScript or tests checks it first", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const unchecked = Object.entries(scripts).filter(
      ([, command]) => /\bnode\b.*\.ts\b/.test(command) && !command.startsWith("node --import ./scripts/node.mjs "),
    );
    expect(unchecked).toEqual([]);
    expect(read("vitest.config.ts")).toContain('import "./scripts/node.mjs";');
    expect(read("scripts/start.mjs")).toContain('import "./node.mjs";');
  });

  it("another version ends a tool at once, and says what to do", () => {
    const folder = mkdtempSync(join(tmpdir(), "edgerooms-node-"));
    try {
      cpSync(join(root, "scripts/node.mjs"), join(folder, "node.mjs"));
      cpSync(join(root, "scripts/node"), join(folder, "node"), { recursive: true });
      writeFileSync(join(folder, "tool.ts"), 'console.log("ran");');
      const run = () =>
        spawnSync(process.execPath, ["--import", "./node.mjs", "tool.ts"], { cwd: folder, encoding: "utf8" });
      expect(run()).toMatchObject({ status: 0, stdout: "ran\n" });
      const manifest = join(folder, "node/package.json");
      writeFileSync(manifest, readFileSync(manifest, "utf8").replace(/"version": "[^"]+"/, '"version": "1.2.3"'));
      const said = run();
      expect(said).toMatchObject({ status: 1, stdout: "" });
      expect(said.stderr).toContain(`run on Node.js 1`);
      expect(said.stderr).toContain(process.versions.node);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
