/** The stalled readers of reader.ts, several times with and without, held against what they may cost. */
import { BACKLOG_BYTES } from "../../src/room/rules/backlog.ts";
import { CREDIT_BYTES, CREDIT_ITEMS } from "../../src/room/rules/connection.ts";
import { median, type Findings } from "./findings.ts";
import { publishPast, type Load, type Run } from "./reader.ts";

const MIB = 1_048_576;
/** What one tick can add to what is sent: it is not cut in two. */
const TICK_BYTES = MIB;
const TICK_ITEMS = 512;
/** What four stalled readers may cost: two credits and two backlogs (12 MiB), and what an allocator adds to them. */
const MARGIN = 16 * MIB;
/** A socket's backlog is judged before a tick's messages: one tick and the frames around it can come on top. */
export const BUFFERED = BACKLOG_BYTES + 1.25 * MIB;

/** Publishes the load `rounds` times past readers that stall, and as often past the same readers while they read. */
export async function past(load: Load, rounds: number, findings: Findings): Promise<void> {
  const controls: Run[] = [];
  const runs: Run[] = [];
  for (let round = 0; round < rounds; round++) {
    controls.push(await publishPast(load, true));
    runs.push(await publishPast(load, false));
  }
  const name = `${Math.round(load.bytes / 1e6)} MB in items of ${load.size.toLocaleString("en")} bytes`;
  const [control, stalled] = [summary(controls), summary(runs)];
  const held = stalled.held - control.held;
  const end = stalled.end - control.end;
  findings.table(
    [
      `${name}, ${rounds} rounds each; MiB of workerd's resident memory, garbage collected before each look but for "found".`,
      [
        "| Run | seconds | before | held, median | held, max | held at the end | found, max | one socket's buffer, max |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        line("everyone reads", control),
        line("four do not", stalled),
        `| difference (bound ${mib(MARGIN)}) | | | ${mib(held)} | | ${mib(end)} | | (bound ${mib(BUFFERED)}) |`,
      ].join("\n"),
      [
        "| Reader | stopped at | read on its old connection up to | and then |",
        "| --- | ---: | ---: | --- |",
        ...(runs.at(-1)?.readers ?? []).map(
          ({ kind, stoppedAt, wokeAt, outcome }) =>
            `| ${kind} | ${stoppedAt.toLocaleString("en")} | ${wokeAt.toLocaleString("en")} | ${outcome} |`,
        ),
      ].join("\n"),
    ].join("\n\n"),
  );
  findings.check(held <= MARGIN, `${name}: stalled readers cost ${mib(held)} MiB while it was published`);
  findings.check(end <= MARGIN, `${name}: stalled readers cost ${mib(end)} MiB at the end`);
  findings.check(stalled.buffered <= BUFFERED, `${name}: one socket held ${mib(stalled.buffered)} MiB`);
  for (const { wrong } of [...controls, ...runs]) for (const what of wrong) findings.check(false, `${name}: ${what}`);
  const closed = runs
    .flatMap((run) => run.readers)
    .filter(({ kind, outcome }) => /^credit.*closed/.test(kind + outcome));
  findings.check(closed.length === 0, `${name}: a reader with credit was ${closed[0]?.outcome}`);
  const unacked = Math.max(...runs.map((run) => run.unacked));
  const most = Math.min(CREDIT_ITEMS + TICK_ITEMS, Math.ceil((CREDIT_BYTES + TICK_BYTES) / load.size));
  findings.fact(
    unacked > 0 && unacked <= most,
    `${name}: a client with credit was never fed more than ${unacked.toLocaleString("en")} offsets ahead of what it ` +
      `acknowledged (bound ${most.toLocaleString("en")}: the credit and one tick).`,
  );
  const readers = [...controls, ...runs].flatMap((run) => run.readers);
  const honest = readers.filter((reader) => reader.honest).length;
  findings.fact(
    honest === readers.length,
    `${name}: ${honest} of ${readers.length} readers (control included) had every offset once and in order, or were ` +
      "told of the reset that stands for what they lack; the publisher and the honest reader missed nothing.",
  );
}

interface Summary {
  readonly seconds: number;
  readonly baseline: number;
  readonly held: number;
  readonly most: number;
  readonly end: number;
  readonly found: number;
  readonly buffered: number;
}

function summary(runs: readonly Run[]): Summary {
  const held = runs.flatMap((run) => run.held);
  return {
    seconds: median(runs.map((run) => run.seconds)),
    baseline: median(runs.map((run) => run.baseline)),
    held: median(held),
    most: Math.max(...held),
    end: median(runs.map((run) => run.end)),
    found: Math.max(...runs.flatMap((run) => run.found)),
    buffered: Math.max(...runs.map((run) => run.buffered)),
  };
}

function line(what: string, { seconds, baseline, held, most, end, found, buffered }: Summary): string {
  const sizes = [baseline, held, most, end, found, buffered].map(mib);
  return `| ${what} | ${seconds.toFixed(1)} | ${sizes.join(" | ")} |`;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
