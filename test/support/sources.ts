/** Reads source files as text for tests of the rules of the house: what a file imports, and its code without comments. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

/** The repository. */
export const root = join(import.meta.dirname, "../..");

/** A source file. */
export interface Source {
  /** Below src/, such as `room/core/step.ts`. */
  readonly path: string;
  readonly text: string;
  /** Text without comments; the words of strings count. */
  readonly uncommented: string;
  /** Text without comments and strings, so that words in them count for nothing. What stands in a template counts. */
  readonly code: string;
  /** What it imports in any way, types included: paths below src/, or names of packages. */
  readonly imports: readonly string[];
  /** Those of `imports` that are there when the program runs. */
  readonly values: readonly string[];
}

/** Every file below a folder of the repository, without hidden ones. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("/."));
}

/** Reads a file of src/. */
export function read(file: string): Source {
  return sourceOf(relative("src", file), readFileSync(join(root, file), "utf8"));
}

/** Comments, strings, templates and regular expressions: whichever begins first hides the others. */
const TOKEN =
  /(?<comment>\/\*[^]*?\*\/|\/\/.*)|(?<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|`(?:[^`\\]|\\[^])*`|(?<=(?:^|[=(,:?!&|;{}[]|return)\s*)\/(?![*/])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\//g;

function stripped(text: string, keepStrings: boolean): string {
  return text.replaceAll(TOKEN, (token, comment?: string, string?: string) =>
    comment !== undefined ? "" : string === undefined || keepStrings ? token : '""',
  );
}

/** The modules of all of `from "x"`, `import "x"`, `import("x")`, in whatever statement. */
function modulesIn(uncommented: string): string[] {
  const found = uncommented.matchAll(/\b(?:from|import|require)\s*\(?\s*["']([\w@./:-]+)["']/g);
  return [...found].map(([, name = ""]) => name);
}

/** Takes a file apart. */
export function sourceOf(path: string, text: string): Source {
  const uncommented = stripped(text, true);
  const resolved = (name: string) => (name.startsWith(".") ? relative(".", join(path, "..", name)) : name);
  const typed = /\b(?:import|export)\s+type\b[^;"']*\bfrom\s*["'][^"'\s]+["']/g;
  const imports = modulesIn(uncommented).map(resolved);
  const values = modulesIn(uncommented.replaceAll(typed, "")).map(resolved);
  return { path, text, uncommented, code: stripped(text, false), imports, values };
}
