/**
 * Decides whether a run kept the promises: reads the whole history, event by event, beside the truth of the rooms.
 * Because it judges each event when it comes, a violation knows the smallest prefix of the history that shows it.
 */
import { Connections } from "./connections.ts";
import { Programs } from "./programs.ts";
import type { Event } from "./record.ts";
import type { Truth } from "./truth.ts";
import { Verdict, type About, type Violation } from "./verdict.ts";

/** Judges a whole history. */
export function check(events: Iterable<Event>, truths: ReadonlyMap<string, Truth>): Verdict {
  const verdict = new Verdict();
  const connections = new Connections(truths, verdict);
  const programs = new Programs(truths, verdict);
  const ends: Extract<Event, { what: "final" }>[] = [];
  const dials = new Map<string, number | undefined>();
  for (const event of events) {
    verdict.seen++;
    switch (event.what) {
      case "begin":
        programs.begin(event);
        if (event.sort === "raw") connections.mortal.add(event.client);
        break;
      case "dial":
        dials.set(event.conn, event.offset);
        programs.stirs(event.client, event.t);
        connections.dialled(event);
        break;
      case "in": {
        const [first] = event.frames;
        connections.heard(event.conn, event.frames, event.t);
        programs.stirs(event.client, event.t);
        if (first?.type === "welcome") {
          programs.welcomed(event.client, first.session, first.resumed ? dials.get(event.conn) : undefined);
        }
        break;
      }
      case "out":
        connections.sent(event.conn, event.frames, event.t);
        break;
      case "say":
        programs.say(event);
        break;
      case "settled":
        programs.settled(event);
        break;
      case "failed":
        programs.failed(event);
        break;
      case "item":
        programs.item(event);
        break;
      case "reset":
        programs.reset(event);
        break;
      case "resumed":
        programs.resumed(event);
        break;
      case "over":
        programs.over(event.client);
        break;
      case "renewed":
        verdict.count("tokens renewed");
        break;
      case "ending":
      case "ended":
        connections.operated(event);
        programs.ended(event.user, event.room);
        break;
      case "fault":
        verdict.count(`fault ${event.fault}`);
        break;
      case "state":
        programs.state(event);
        verdict.count(`state ${event.name}`);
        break;
      case "lost":
        verdict.count("connections lost");
        break;
      case "final":
        programs.final(event);
        ends.push(event);
        break;
    }
  }
  if (ends.length > 0) programs.judgePresent();
  judgeEnd(ends, connections, truths, verdict);
  return verdict;
}

/** What only shows when the run is over. */
function judgeEnd(
  ends: readonly Extract<Event, { what: "final" }>[],
  connections: Connections,
  truths: ReadonlyMap<string, Truth>,
  verdict: Verdict,
): void {
  for (const { client, conn, open, position } of ends) {
    const told = connections.toldOf(conn);
    if (open && told !== position) {
      verdict.violated("loss", `${client} is at ${position}, its connection was told up to ${told}`, { client, conn });
    }
  }
  connections.endings.judge(truths, verdict);
  for (const truth of truths.values()) truth.judge(verdict, connections.endings.users);
}

/** Events before and with the last of the prefix, of those that a violation is about. */
export function tailOf(events: Iterable<Event>, { about, prefix }: Violation, length: number): Event[] {
  const tail: Event[] = [];
  let i = 0;
  for (const event of events) {
    if (++i > prefix) break;
    if (!concerns(event, about)) continue;
    tail.push(event);
    if (tail.length > length) tail.shift();
  }
  return tail;
}

function concerns(event: Event, { client, room, user, offset, data }: About): boolean {
  if (event.what === "fault") return [client, room, "everyone"].includes(event.target);
  if (!("client" in event)) return event.user === user;
  if (client !== undefined && event.client === client) return true;
  if (event.what === "in" || event.what === "out") {
    const text = JSON.stringify(event.frames);
    if (client === undefined && user !== undefined) return text.includes(`"${user}"`) && /"(join|leave)"/.test(text);
    if (client === undefined && offset !== undefined && text.includes(`"offset":${offset},`)) return true;
    return data !== undefined && text.includes(`"${data}"`);
  }
  return data !== undefined && "data" in event && event.data === data;
}
