/**
 * Words that were retired stay retired, in sources, documents and names of tests: one thing has one name (docs/glossary.md).
 * What is on disk or on the wire keeps its name.
 */
import { globSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

/** Each with what is said in its place. `allowed`: what is on disk, or another word. */
const retired: readonly { readonly word: RegExp; readonly instead: string; readonly allowed?: RegExp }[] = [
  { word: /\b(?:the|a|this|each|every|next|last|one|two|of) beats?\b/i, instead: "heartbeat" },
  { word: /\bthe books\b|\bBooks\b/, instead: "recorder" },
  { word: /\bhands\.ts|\bclass Hands\b|\bperformer\b/i, instead: "effects" },
  { word: /\binbox\b/i, instead: "scheduler" },
  { word: /\blastWords\b/, instead: "snapshot", allowed: /#lastWords\b/ },
  { word: /\buntold|isTold\(\)/, instead: "snapshot, report" },
  { word: /\b(?:place|wire|machine|renewal|posts|jobs|departure|catchup|engine)\.ts\b/, instead: "the new module" },
  { word: /(?:state|type): ["'`](?:quiet|waiting)["'`]/, instead: "suspended, reconnecting" },
  { word: /\b(?:land|flying|knows)\(\)|\bflying\b/, instead: "requeue, inFlight, advance" },
  { word: /\b(?:interface|type|class) (?:Note|About)\b|: (?:Note|About)\b/, instead: "FailureRecord, FailureContext" },
  { word: /\b(?:overseer|inTime|unfit)\b/i, instead: "requireGlobalAdmin, withTimeout, validate" },
  { word: /\/dead(?![\w-])/, instead: "/dead-letters" },
  { word: /--hold\b|\bhold\?|"hold"/, instead: "reopenAfter" },
  { word: /\bis none of\b/i, instead: "is not, or invalid" },
];

const sources = globSync("src/**/*.ts").map((path) => [path, readFileSync(path, "utf8")] as const);
const documents = ["README.md", "CONTRIBUTING.md", ...globSync("docs/*.md")]
  .filter((path) => path !== "CONTRIBUTING.md")
  .map((path) => [path, prose(readFileSync(path, "utf8"))] as const);
const names = globSync("test/**/*.test.ts")
  .filter((path) => !path.endsWith("words.test.ts"))
  .map((path) => [path, namesOf(readFileSync(path, "utf8"))] as const);

/** What is measured and pasted stays as it was said. */
function prose(text: string): string {
  return text.replace(/<!-- (chaos|peers):begin -->.*?<!-- \1:end -->/gs, "");
}

function namesOf(text: string): string {
  return [...text.matchAll(/\b(?:it|describe|test)(?:\.each)?\(\s*(["'`])(.*?)\1/g)]
    .map((match) => match[2])
    .join("\n");
}

/** The lines of a text in which a retired word stands. */
function linesWith({ word, allowed }: (typeof retired)[number], text: string): string[] {
  return text.split("\n").filter((line) => word.test(allowed ? line.replace(allowed, "") : line));
}

describe.each(retired)("what is now called $instead", (entry) => {
  it.each([
    ["sources", sources],
    ["documents", documents],
    ["names of tests", names],
  ] as const)("has no other name in %s", (_, files) => {
    const found = files.flatMap(([path, text]) => linesWith(entry, text).map((line) => `${path}: ${line.trim()}`));
    expect(found).toEqual([]);
  });
});

it("finds retired words where they stand", () => {
  expect(sources.length).toBeGreaterThan(100);
  expect(names.some(([, text]) => text.includes("promise 4"))).toBe(true);
  const lines = ["The next beat is due.", "the books", "hands.ts", "the inbox", "lastWords", "isTold()", "machine.ts"];
  const more = ['state: "quiet"', "flying", "interface Note", "overseer", "GET /dead", "--hold 60", "is none of W3C's"];
  const samples = [...lines, ...more];
  expect(retired.map((entry, i) => linesWith(entry, samples[i] ?? ""))).toEqual(samples.map((line) => [line]));
});
