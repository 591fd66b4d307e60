/** What a run came to: the table of faults and promises as Markdown, and for a violation how to see and repeat it. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, cpus, platform, totalmem } from "node:os";
import { format } from "prettier";
import { tailOf } from "./checker.ts";
import type { Plan } from "./orders.ts";
import type { Event } from "./record.ts";
import { faults } from "./schedule.ts";
import { promises, type Verdict } from "./verdict.ts";

/** What a run was. */
export interface Run {
  readonly seed: number;
  readonly minutes: number;
  readonly clients: number;
  readonly processes: number;
  /** Faults left out. */
  readonly without: readonly string[];
  readonly plans: readonly Plan[];
  /** Clients that had not settled in time. */
  readonly late: readonly string[];
  readonly complaints: readonly string[];
}

const BEGIN = "<!-- chaos:begin -->";
const END = "<!-- chaos:end -->";
/** Events of the smallest prefix that are printed. */
const TAIL = 40;

/** The command that repeats a run. */
export function commandOf({ seed, minutes, clients, without }: Run): string {
  const left = without.map((name) => ` --without ${name}`).join("");
  return `npm run chaos -- --seed ${seed} --minutes ${minutes} --clients ${clients}${left}`;
}

/** The whole result as Markdown. */
export function table(run: Run, verdict: Verdict): string {
  const { plans } = run;
  const n = (what: string) => verdict.counted(what);
  const all = (prefix: string) =>
    [...verdict.counts]
      .filter(([name]) => name.startsWith(prefix))
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, times]) => `${name.slice(prefix.length)} ${times}`)
      .join(", ") || "none";
  const sdk = plans.filter(({ sort }) => sort === "sdk").length;
  const short = plans.filter(({ ttl }) => ttl < 60).length;
  const missed = all("fault missed ");
  const faultRows = Object.entries(faults).map(([name, { text }]) => [name, n(`fault ${name}`), text]);
  const rows: (readonly [string, string | number])[] = [
    ["clients", `${run.clients} in ${run.processes} processes: ${sdk} with the SDK, ${plans.length - sdk} raw`],
    [
      "clients with tokens of less than 30 s; that hand over tokens about to end",
      `${short}; ${plans.filter((p) => p.sloppy).length}`,
    ],
    ["connections", n("dialled")],
    ["publishes; of them acked", `${n("publishes")}; ${n("publishes acked")}`],
    ["of these over HTTP", n("posts")],
    ["publishes that failed, and were told so", all("failed ")],
    ["publications that frames brought, each compared with the room's tables", n("deliveries")],
    ["publications handed over by the SDK", n("handed over")],
    ["acks compared", n("acks")],
    ["resumed with nothing missed", n("resumed")],
    ["resets, by the reason told", all("reset ")],
    ["connections opened at relays; members who were there", `${n("through relays")}; ${n("through relays members")}`],
    ["resumed, and reset, at relays", `${n("through relays resumed")} and ${n("through relays reset")}`],
    ["epochs that began under a connection", n("epochs told")],
    ["calls of methods answered, each compared; refused", `${n("calls answered")}; ${all("calls refused ")}`],
    ["sessions ended by an operator", n("sessions ended by an operator")],
    ["good-byes, by code", all("bye ")],
    ["tokens renewed in a running connection", n("tokens renewed")],
    [
      "joins and leaves told; counts of members told",
      `${n("joins told")} and ${n("leaves told")}; ${n("counts told")}`,
    ],
  ];
  const broken = Object.entries(promises).map(([name, text]) => [
    text,
    verdict.broken.get(name as keyof typeof promises) ?? 0,
  ]);
  return [
    `\`${commandOf(run)}\``,
    "",
    `${new Date().toISOString().slice(0, 10)}, commit ${commit()}, ${machine()}.`,
    "",
    "| Fault | Survived | What it is |",
    "| --- | ---: | --- |",
    ...faultRows.map((row) => `| ${row.join(" | ")} |`),
    ...(missed === "none" ? [] : ["", `Could not be done: ${missed}.`]),
    "",
    "| What happened | |",
    "| --- | --- |",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
    "",
    "| What was broken | Times |",
    "| --- | ---: |",
    ...broken.map((row) => `| ${row.join(" | ")} |`),
    `| unexpected errors in the server's output | ${run.complaints.length} |`,
    "",
  ].join("\n");
}

/** Why a run says nothing of what it is there for, although no promise was broken. */
export function shortcomings(verdict: Verdict): string[] {
  const lacking: string[] = [];
  if (verdict.counted("through relays resumed") === 0) lacking.push("no session was ever resumed at a relay");
  return lacking;
}

/** The first violation: the schedule and the history up to where it shows, and the others in a line each. */
export function explain(run: Run, verdict: Verdict, events: () => Iterable<Event>): string {
  const [first] = verdict.violations.toSorted((a, b) => a.prefix - b.prefix);
  if (!first) return "";
  let start: number | undefined;
  const actions: string[] = [];
  let i = 0;
  for (const event of events()) {
    if (++i > first.prefix) break;
    start ??= event.t;
    if (event.what === "fault") actions.push(lineOf(event, start));
  }
  const tail = tailOf(events(), first, TAIL).map((event) => lineOf(event, start ?? 0));
  const others = verdict.violations.filter((violation) => violation !== first).slice(0, 20);
  return [
    `VIOLATION (${promises[first.promise]}), seed ${run.seed}: ${first.text}`,
    `Shows after ${first.prefix} of ${verdict.seen} events; no shorter prefix of the history shows any violation.`,
    "",
    `Faults up to there (${actions.length}):`,
    ...actions,
    "",
    `The last ${tail.length} events that concern it:`,
    ...tail,
    "",
    ...others.map(({ promise, text, prefix }) => `also (${promise}, after ${prefix} events): ${text}`),
    ...(run.late.length > 0 ? [`not settled in time: ${run.late.join(", ")}`] : []),
    "",
    `The same schedule again (real processes may meet it in another order): ${commandOf(run)}`,
  ].join("\n");
}

function lineOf({ t, what, ...rest }: Event, start: number): string {
  const text = JSON.stringify(rest);
  return `${((t - start) / 1_000).toFixed(3).padStart(9)} s  ${what.padEnd(8)} ${text.length > 600 ? `${text.slice(0, 600)}...` : text}`;
}

/**
 * What chaos does to the server, what clients do wrong, what workerd remarks of its alarms when objects vanish, and of a
 * send that an eviction left unfinished (pull request 7147 of workerd is about that): no promise was broken where it was seen.
 */
const EXPECTED =
  /"source":"onPublish".*"message":"Error: chaos"|"level":"(?:info|warn)"|\bchaos\b|actor-sqlite.*warning: NOSENTRY|!currentlySending/;

/** What the server printed and nobody expected. A stack belongs to the line above it, which says what it is of. */
export function complaints(output: string): string[] {
  const unexpected = output.split(/\n(?!stack: )/).filter((line) => line.trim() !== "" && !EXPECTED.test(line));
  return [...new Set(unexpected.map((line) => line.slice(0, 300)))].slice(0, 20);
}

/** Puts a result between the markers of a document, laid out as the formatter wants it. */
export async function writeInto(path: string, text: string): Promise<void> {
  const before = readFileSync(path, "utf8");
  const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${path} has no ${BEGIN} and ${END}`);
  const after = `${before.slice(0, from + BEGIN.length)}\n\n${text.trim()}\n\n${before.slice(to)}`;
  writeFileSync(path, await format(after, { parser: "markdown", printWidth: 120 }));
}

function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
    const dirty = git("status", "--porcelain", "--", "src") === "" ? "" : " with changes in src/";
    return git("rev-parse", "--short", "HEAD") + dirty;
  } catch {
    return "unknown";
  }
}

function machine(): string {
  const { version } = createRequire(import.meta.url)("workerd/package.json") as { version: string };
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${memory} GiB, ${platform()} ${arch()}, Node ${process.versions.node}, workerd ${version}`;
}
