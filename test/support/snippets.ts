/**
 * The fenced blocks of a Markdown document: their language, their text, where they stand and what the text before them says.
 * Knows what Markdown looks like, and nothing of what a document is about.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

/** One fenced block. */
export interface Snippet {
  /** The document, from the root of the repository. */
  readonly document: string;
  /** Line of its first fence, from 1. */
  readonly line: number;
  /** Empty when the fence names none. */
  readonly language: string;
  readonly text: string;
  /** The paragraph before it. */
  readonly before: string;
}

/** The blocks of a document, in their order. */
export function snippetsOf(document: string): Snippet[] {
  return snippetsIn(readFileSync(join(root, document), "utf8"), document);
}

/** The blocks of a text. */
export function snippetsIn(text: string, document: string): Snippet[] {
  const fences = text.matchAll(/^```([\w-]*)[^\n]*\n([^]*?)^```$/gm);
  return [...fences].map(({ index, 1: language = "", 2: body = "" }) => {
    const above = text.slice(0, index);
    const before =
      above
        .trimEnd()
        .split(/\n\s*\n/)
        .at(-1) ?? "";
    return { document, line: above.split("\n").length, language, text: body, before };
  });
}

/** The file that a block is, by the first name in backquotes before it: `src/index.ts`. */
export function fileNameOf({ before }: Snippet): string | undefined {
  return /`([\w./-]+\.(?:tsx?|mjs|toml|json|html))`/.exec(before)?.[1];
}

/** The commands of a shell block, without comments. */
export function commandsOf({ text }: Snippet): string[] {
  return text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
}
