/**
 * One word for one thing (docs/glossary.md): words that are retired stay so, in the source, the documents and the titles of
 * tests. What is on a disk or on the wire keeps its name, because it cannot be renamed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** Retired words, and what each is called now. */
const RETIRED: readonly { readonly word: RegExp; readonly now: string }[] = [
  { word: /\bbooks\b/i, now: "recorder" },
  // The verb stays: a hook hands something over.
  { word: /\b(?:the|our|its|no|class|new) hands\b|\bhands\.|\bhands\.ts\b/i, now: "effects" },
  { word: /\bperformer\b/i, now: "effects" },
  { word: /\binbox\b/i, now: "scheduler" },
  { word: /\boverseer\b/i, now: "requireGlobalAdmin" },
  { word: /\binTime\b|\bin-time\.ts\b/, now: "withTimeout" },
  { word: /\bunfit\b/i, now: "validate" },
  { word: /\b(?:place|wire|machine|renewal|posts|jobs|departure|catchup|fit)\.ts\b/, now: "another module" },
  { word: /"\/dead"|\/dead(?![-\w])/, now: "/dead-letters" },
  { word: /\bhold\?:|\bhold: "|--hold\b|"hold"/, now: "reopenAfter" },
  { word: /\bis none of\b/i, now: "is not, or invalid" },
  { word: /\bbeats?\b/i, now: "heartbeat" },
];
/** In the client only: elsewhere a room may be quiet. */
const CLIENT_STATES = /"(?:quiet|waiting)"/;
/** What storage holds is read by every later version. */
const STORED = /meta\.[gs]et\("beat"/g;

interface Line {
  readonly at: string;
  readonly text: string;
}

function linesBelow(folder: string, isWanted: (path: string) => boolean): Line[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter(isWanted)
    .flatMap((path) =>
      readFileSync(join(root, path), "utf8")
        .split("\n")
        .map((text, i) => ({ at: `${path}:${i + 1}`, text })),
    );
}

const source = linesBelow("src", (path) => /\.tsx?$/.test(path));
const documents = linesBelow("docs", (path) => path.endsWith(".md"));
const titles = linesBelow("test", (path) => path.endsWith(".ts")).filter(
  ({ at, text }) => !at.startsWith("test/unit/words.test.ts") && /^\s*(?:it|test|describe)\b.*["`]/.test(text),
);

/** The lines that use a word, as `file:line text`. */
function uses(word: RegExp, lines: readonly Line[]): string[] {
  return lines
    .filter(({ text }) => word.test(text.replaceAll(STORED, "")))
    .map(({ at, text }) => `${at} ${text.trim()}`);
}

describe("retired words", () => {
  it("are looked for where there is something to read", () => {
    expect(source.length).toBeGreaterThan(5_000);
    expect(documents.length).toBeGreaterThan(1_000);
    expect(titles.length).toBeGreaterThan(300);
  });

  it.each(RETIRED)("$word is now called $now", ({ word }) => {
    expect(uses(word, [...source, ...documents, ...titles])).toEqual([]);
  });

  it("name no state of a client", () => {
    const client = source.filter(({ at }) => /^src\/(?:client|react)\//.test(at));
    expect(uses(CLIENT_STATES, client)).toEqual([]);
  });
});
