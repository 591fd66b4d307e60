/**
 * edgerooms.v1, read as cheaply as possible. The head of a `pub` frame says which offsets it covers, so it is counted
 * without parsing. Every frame of every socket is checked for contiguous offsets. One socket of each run parses all
 * items and checks that they are what the head says. Clients ask for credit and acknowledge as the SDK does.
 */
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, SUBPROTOCOL } from "../../src/protocol/frames.ts";
import type { Dialect, Member } from "./member.ts";
import { payload } from "./payload.ts";

const FRAME = Buffer.from('{"type":"');
const PUB = Buffer.from('pub","from":');
const ACK = Buffer.from('ack"');
const WELCOME = Buffer.from("welcome");
const HEARTBEAT = Buffer.from('heartbeat","offset":');
const ASKED = Buffer.from('"ack":true');
const UPTO = ',"upto":';
const ARRAY = 91;
const OBJECT = 123;

const is = (view: Buffer, at: number, word: Buffer) => view.compare(word, 0, word.length, at, at + word.length) === 0;

/** What one message says besides its publications. */
interface Found {
  /** Publications of the reader's own that it acknowledges. */
  acks: number;
  /** The offset of a heartbeat, 0 for none. */
  heartbeat: number;
  /** Whether it says that the room waits for an acknowledgement. */
  isAsked: boolean;
}

/** As the SDK speaks it. */
export const edgerooms: Dialect = {
  ...dialect("credit=1"),
  read(member, view, length) {
    const { heartbeat, isAsked } = readMessage(member, view);
    const offset = Number(member.place.offset);
    const ack = member.credit.read(offset, isAsked || heartbeat > offset, length);
    if (ack !== undefined) member.acknowledge(ack);
    // The SDK would ask for what is missing. In a run without faults nothing may be.
    else if (heartbeat > offset) member.fail(`the room is at ${heartbeat}, this client at ${offset}`);
  },
};

/** As a client speaks it that never acknowledges: what `npm run bench -- credit` compares with. */
export const edgeroomsWithoutCredit: Dialect = dialect("");

function dialect(query: string): Dialect {
  return {
    path(template, { room, notesPlace, place }) {
      const resume = notesPlace ? `session=${place.session}&epoch=${place.epoch}&offset=${place.offset}` : "";
      const queries = [query, resume].filter((part) => part !== "");
      return template.replace("{room}", room) + (queries.length > 0 ? `?${queries.join("&")}` : "");
    },
    headers: (token) => [`Sec-WebSocket-Protocol: ${SUBPROTOCOL}, bearer.${token}`],
    hello: () => [],
    readyWhenOpen: false,
    publish: (who, n) => `{"type":"publish","ref":${n},"data":"${payload(who, n)}"}`,
    signal: (who, n) => `{"type":"signal","data":"${payload(who, n)}"}`,
    // An array has frames of several kinds: a welcome, or acks and publications for a publisher.
    whole: (_member, first) => first === ARRAY,
    read: (member, view) => void readMessage(member, view),
    payloads(text) {
      const frames = text === "pong" ? [] : (decodeServer(text) ?? []);
      return frames.flatMap((each) => {
        if (each.type !== "pub") return [];
        if (each.items.length !== each.upto - each.from + 1) throw new Error("a pub frame without all of its items");
        return each.items.map((item) => item.data as string);
      });
    },
  };
}

function readMessage(member: Member, view: Buffer): Found {
  const found: Found = { acks: 0, heartbeat: 0, isAsked: false };
  if (view[0] === OBJECT) readFrame(member, view, FRAME.length, found);
  else if (view[0] === ARRAY) {
    // Only frames begin with these bytes: items begin with their offset, and payloads have no quotes.
    for (let at = view.indexOf(FRAME); at >= 0; at = view.indexOf(FRAME, at + FRAME.length)) {
      readFrame(member, view, at + FRAME.length, found);
    }
  }
  if (found.acks > 0) member.gotOwn(found.acks);
  return found;
}

/** Reads one frame whose type begins at `at`. */
function readFrame(member: Member, view: Buffer, at: number, found: Found): void {
  if (is(view, at, PUB)) {
    const from = number(view, at + PUB.length);
    const upto = number(view, at + PUB.length + String(from).length + UPTO.length);
    const { place } = member;
    if (from !== Number(place.offset) + 1) member.fail(`from ${from} after ${place.offset}: a gap or a duplicate`);
    place.offset = upto;
    member.got(upto - from + 1);
  } else if (is(view, at, ACK)) found.acks++;
  else if (is(view, at, WELCOME)) welcome(member, view.subarray(at, at + 400).toString("latin1"));
  else if (is(view, at, HEARTBEAT)) {
    found.heartbeat = number(view, at + HEARTBEAT.length);
    found.isAsked = view.includes(ASKED, at);
    member.say(PING);
  } else if (!/^(?:presence|snapshot|signal)/.test(view.subarray(at, at + 10).toString("latin1")))
    member.fail(view.subarray(at, at + 200).toString("latin1"));
}

function welcome(member: Member, head: string): void {
  const found = /"session":"([^"]+)".*?"epoch":"([^"]+)","offset":(\d+),"resumed":(true|false)/.exec(head);
  if (!found) return member.fail(`not a welcome: ${head}`);
  const [, session = "", epoch = "", offset, resumed] = found;
  member.resumed = resumed === "true";
  // A resumed client keeps its own position: what it lacks follows.
  if (!member.resumed) Object.assign(member.place, { session, epoch, offset: Number(offset) });
  member.credit.begin(Number(member.place.offset));
  member.enter();
}

function number(view: Buffer, from: number): number {
  let value = 0;
  for (let at = from; ; at++) {
    const digit = (view[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) return value;
    value = value * 10 + digit;
  }
}
