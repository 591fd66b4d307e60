/**
 * One word for one thing (docs/concepts/glossary.md): words that are retired stay so, in the source, the documents, the benchmarks and
 * the tests. What is on a disk or on the wire keeps its name, because it cannot be renamed.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

interface Retired {
  readonly word: RegExp;
  readonly now: string;
  /** Programs of test/ and bench/ may use it: there it means something else. */
  readonly isOfPrograms?: true;
}

/** Retired words, and what each is called now: in the source, the documents, the benchmarks and the code of tests. */
const RETIRED: readonly Retired[] = [
  { word: /\bbooks\b|[a-z]Books\b/i, now: "recorder" },
  { word: /lastWords\b|\buntold\b(?!")/i, now: "snapshot" },
  // The verb stays: a hook hands something over.
  { word: /\b(?:the|our|its|no|class|new) hands\b(?! of)|\bhands\.ts\b/i, now: "effects" },
  { word: /\bperformer\b/i, now: "effects" },
  { word: /\binbox\b/i, now: "scheduler" },
  { word: /\boverseer\b/i, now: "requireGlobalAdmin" },
  { word: /\bseenOf\b|\bseen\.ts\b/, now: "requestInfo" },
  { word: /\binTime\b|\bin-time\.ts\b/, now: "withTimeout" },
  { word: /\bunfit\b/i, now: "validate" },
  {
    word: /\b(?:place|wire|machine|renewal|posts|jobs|departure|catchup|fit)\.ts\b/,
    now: "another module",
    isOfPrograms: true,
  },
  { word: /"\/dead"|\/dead(?![-\w])/, now: "/dead-letters", isOfPrograms: true },
  { word: /\bhold\?:|\bhold: "|--hold\b|"hold"/, now: "reopenAfter" },
  { word: /\bis none of\b/i, now: "is not, or invalid" },
  { word: /\b[Bb]eats?\b|[a-z]Beats?\b|\bBEAT\b/, now: "heartbeat" },
];
/** Words that the source may not use, though elsewhere they have their plain meaning. */
const RETIRED_IN_SOURCE: readonly Retired[] = [
  { word: /\bnotes?\b|[a-z]Notes?\b|\bNotes?\b/, now: "FailureRecord, failure or record" },
  { word: /\bWatch\b|\bwatch[.:]|#watch\b/, now: "Observer" },
  {
    word: /[.#]tell\(|^\s*(?:readonly )?tell:|\btell[A-Z]|^ {2}(?:(?:protected|abstract|override|async) )*tell\(/,
    now: "report, answer or send",
  },
  { word: /\bisTold\b|\bCarried\b/, now: "stored, snapshot" },
  { word: /[.#](?:knows|land|flying)\b/, now: "includes, advance, requeue, inFlight" },
  { word: /(?<!\bstate |\bthis |\bown |'s )\bmachine\b/, now: "state machine" },
  {
    word: /\b(?:posts(?=[.:;)])|departure|catch-?up)\b|[a-z](?:Posts|Departure|Catchup)\b/,
    now: "idempotency, depart, resume",
  },
];
/** Sentences without a real subject. */
const WHO: readonly Retired[] = [
  { word: /\bwho(?:m|se)?ever\b/i, now: "a client, a member, a caller" },
  { word: /(?:^\s*\/?\*+|\/\/|[.;:]) (?:Who|Whom|Whose)\b/, now: "a client, a member, a caller" },
];
/** In the client only: elsewhere a room may be quiet. */
const CLIENT_STATES = /"(?:quiet|waiting)"/;
/** What storage and other versions hold is read by every later version: a row, a column, a field of a report, a table. */
const STORED =
  /[mM]eta\.[gs]et\("beat"|void \("beat"|VALUES \('beat'|SELECT note FROM|note TEXT NOT NULL|nth, note\)|row\["note"\]|\bnotes(?:\?: readonly|: failures|: records)/g;

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
const programs = ["test", "bench"]
  .flatMap((folder) => linesBelow(folder, (path) => path.endsWith(".ts") && !path.includes("node_modules")))
  .filter(({ at }) => !at.startsWith("test/unit/words.test.ts"));
const titles = programs.filter(({ text }) => /^\s*(?:it|test|describe)\b.*["`]/.test(text));

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

  it.each(RETIRED)("$word is now called $now", ({ word, isOfPrograms }) => {
    expect(uses(word, [...source, ...documents, ...(isOfPrograms ? titles : programs)])).toEqual([]);
  });

  it.each(RETIRED_IN_SOURCE)("$word is now called $now in the source", ({ word }) => {
    expect(uses(word, source)).toEqual([]);
  });

  it.each(WHO)("$word is no subject: say $now", ({ word }) => {
    expect(uses(word, [...source, ...programs])).toEqual([]);
    const prose = documents.filter(({ text }) => !/^[|#-]/.test(text));
    expect(uses(/\bwho(?:m|se)?ever\b/i, prose)).toEqual([]);
  });

  it("name no state of a client", () => {
    const client = source.filter(({ at }) => /^src\/(?:client|react)\//.test(at));
    expect(uses(CLIENT_STATES, client)).toEqual([]);
  });
});
