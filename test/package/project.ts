/**
 * Projects that have installed the packed package. What they need besides is linked from this repository's own
 * node_modules: nothing is asked of a registry.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inject } from "vitest";

/** This repository. */
export const root = join(import.meta.dirname, "../..");
const modules = join(root, "node_modules");
/** TypeScript's compiler. */
export const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

/** What a program that ran said. */
export interface Said {
  readonly code: number | null;
  readonly text: string;
}

/** A project in a folder of its own. */
export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), "edgerooms-project-"));

  /**
   * @param packages what else is installed, by name
   * @param type of its package.json
   */
  constructor(packages: readonly string[] = [], type: "module" | "commonjs" = "module") {
    this.write("package.json", JSON.stringify({ name: "project", private: true, type }));
    mkdirSync(join(this.folder, "node_modules"));
    // Copied: from a link, packages would be looked for beside its target.
    cpSync(inject("packed").folder, join(this.folder, "node_modules/edgerooms"), { recursive: true });
    for (const name of packages) {
      const link = join(this.folder, "node_modules", name);
      mkdirSync(dirname(link), { recursive: true });
      symlinkSync(join(modules, name), link);
    }
  }

  /** Writes a file of it. */
  write(path: string, text: string): void {
    writeFileSync(join(this.folder, path), text);
  }

  /** Copies a folder of `consumers/` into it. */
  copy(consumer: string): void {
    cpSync(join(import.meta.dirname, "consumers", consumer), this.folder, { recursive: true });
  }

  /** Runs a program in it with this Node.js. */
  node(...args: readonly string[]): Said {
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: this.folder, encoding: "utf8" });
    return { code: status, text: stdout + stderr };
  }

  /** Compiles it. The strictest settings, and declarations of packages are checked too. */
  compile(files: readonly string[], settings: object): Said {
    const strict = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noPropertyAccessFromIndexSignature: true,
      verbatimModuleSyntax: true,
      skipLibCheck: false,
      noEmit: true,
      target: "ES2022",
      types: [],
    };
    this.write("tsconfig.json", JSON.stringify({ compilerOptions: { ...strict, ...settings }, files }));
    return this.node(tsc, "-p", ".");
  }

  /** Removes it. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
