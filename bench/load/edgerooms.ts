/**
 * edgerooms.v1, read as cheaply as it can be: a message of publications says at its head which offsets it covers, so it
 * is counted without being parsed. That offsets are contiguous is checked for every frame of every socket; that the
 * items are what the head says, by the one socket of each run that parses everything.
 */
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, SUBPROTOCOL } from "../../src/protocol/frames.ts";
import type { Dialect, Member } from "./member.ts";
import { payload } from "./payload.ts";

const FRAME = Buffer.from('{"type":"');
const PUB = Buffer.from('pub","from":');
const ACK = Buffer.from('ack"');
const WELCOME = Buffer.from("welcome");
const HEARTBEAT = Buffer.from("heartbeat");
const UPTO = ',"upto":';
const ARRAY = 91;
const OBJECT = 123;

const is = (view: Buffer, at: number, word: Buffer) => view.compare(word, 0, word.length, at, at + word.length) === 0;

/** Ours. */
export const edgerooms: Dialect = {
  path(template, { room, notesPlace, place }) {
    const resume = notesPlace ? `?session=${place.session}&epoch=${place.epoch}&offset=${place.offset}` : "";
    return template.replace("{room}", room) + resume;
  },
  headers: (token) => [`Sec-WebSocket-Protocol: ${SUBPROTOCOL}, bearer.${token}`],
  hello: () => [],
  readyWhenOpen: false,
  publish: (who, n) => `{"type":"publish","ref":${n},"data":"${payload(who, n)}"}`,
  signal: (who, n) => `{"type":"signal","data":"${payload(who, n)}"}`,
  // Frames of several kinds in one message: what a publisher gets, and a welcome.
  whole: (_member, first) => first === ARRAY,
  read(member, view) {
    if (view[0] === OBJECT) frame(member, view, FRAME.length);
    else if (view[0] === ARRAY) {
      let acks = 0;
      // Nothing but a frame begins like one: items begin with their offset, payloads have no quotes.
      for (let at = view.indexOf(FRAME); at >= 0; at = view.indexOf(FRAME, at + FRAME.length)) {
        acks += frame(member, view, at + FRAME.length);
      }
      if (acks > 0) member.gotOwn(acks);
    }
  },
  payloads(text) {
    const frames = text === "pong" ? [] : (decodeServer(text) ?? []);
    return frames.flatMap((each) => {
      if (each.type !== "pub") return [];
      if (each.items.length !== each.upto - each.from + 1) throw new Error("a pub frame without all of its items");
      return each.items.map((item) => item.data as string);
    });
  },
};

/** Reads one frame whose type begins at `at`; returns how many publications of its own it acknowledges. */
function frame(member: Member, view: Buffer, at: number): number {
  if (is(view, at, PUB)) {
    const from = number(view, at + PUB.length);
    const upto = number(view, at + PUB.length + String(from).length + UPTO.length);
    const { place } = member;
    if (from !== Number(place.offset) + 1) member.fail(`from ${from} after ${place.offset}: a gap, or told twice`);
    place.offset = upto;
    member.got(upto - from + 1);
  } else if (is(view, at, ACK)) return 1;
  else if (is(view, at, WELCOME)) welcome(member, view.subarray(at, at + 400).toString("latin1"));
  else if (is(view, at, HEARTBEAT)) member.say(PING);
  else if (!/^(?:presence|snapshot|signal)/.test(view.subarray(at, at + 10).toString("latin1")))
    member.fail(view.subarray(at, at + 200).toString("latin1"));
  return 0;
}

function welcome(member: Member, head: string): void {
  const found = /"session":"([^"]+)".*?"epoch":"([^"]+)","offset":(\d+),"resumed":(true|false)/.exec(head);
  if (!found) return member.fail(`not a welcome: ${head}`);
  const [, session = "", epoch = "", offset, resumed] = found;
  member.resumed = resumed === "true";
  // A resumed client's position is its own; what it lacks follows.
  if (!member.resumed) Object.assign(member.place, { session, epoch, offset: Number(offset) });
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
