/** Generated parts of documents: each stands between two comments. Also reads and formats result files. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format } from "prettier";
import type { Results } from "../sample.ts";

const root = join(import.meta.dirname, "../..");

/** Formats text with Prettier, as the repository does. */
export function formatted(text: string, parser: "json" | "markdown"): Promise<string> {
  return format(text, { parser, printWidth: 120 });
}

/** Replaces the text between `<!-- name -->` and `<!-- /name -->` in a document, for every name. Throws without both. */
export async function fill(document: string, parts: Readonly<Record<string, string>>): Promise<void> {
  const path = join(root, "docs", document);
  let text = readFileSync(path, "utf8");
  for (const [name, part] of Object.entries(parts)) {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
    const from = text.indexOf(begin);
    const to = text.indexOf(end);
    if (from < 0 || to < from) throw new Error(`docs/${document} has no place for ${name}`);
    text = `${text.slice(0, from + begin.length)}\n\n${part}\n\n${text.slice(to)}`;
  }
  writeFileSync(path, await formatted(text, "markdown"));
}

/** Reads a result file; `undefined` when it was never written. */
export function readResults<T = Results>(name: string): T | undefined {
  try {
    return JSON.parse(readFileSync(join(root, "bench/results", `${name}.json`), "utf8")) as T;
  } catch {
    return undefined;
  }
}
