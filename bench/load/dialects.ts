/**
 * How the rivals' clients speak: bare text, bare text in lines, Socket.IO, and the JSON of the cost bench. Ours is in
 * edgerooms.ts. Knows nothing of processes or of what is measured.
 */
import { edgerooms, edgeroomsWithoutCredit } from "./edgerooms.ts";
import type { Dialect } from "./member.ts";
import { PAYLOAD_BYTES, payload, whose } from "./payload.ts";

/** A message is a payload, and everyone gets the same text. */
const plain: Dialect = {
  // A room that stores its messages sends those after the last one that the client has. Ids begin at 1.
  path: (template, { room, notesPlace, place }) =>
    template.replace("{room}", room) + (notesPlace ? `?after=${place.offset}` : ""),
  headers: (token) => [`Authorization: Bearer ${token}`],
  hello: () => [],
  readyWhenOpen: true,
  publish: payload,
  whole: () => false,
  read(member, view, length) {
    if (length !== PAYLOAD_BYTES)
      return member.fail(`a message of ${length} bytes: ${view.subarray(0, 96).toString("latin1")}`);
    if (member.notesPlace) member.place.offset = Number(member.place.offset) + 1;
    if (member.who >= 0 && whose(view, 0) === member.who) member.gotOwn(1);
    member.got(1);
  },
  payloads: (text) => [text],
};

/** Several payloads in one message, a line each. All have one length, so the length of the message says how many. */
const lines: Dialect = {
  ...plain,
  whole: ({ who }) => who >= 0,
  read(member, view, length) {
    const count = (length + 1) / (PAYLOAD_BYTES + 1);
    if (!Number.isInteger(count)) return member.fail(`a message of ${length} bytes`);
    if (member.who >= 0) {
      let own = 0;
      for (let at = 0; at < length; at += PAYLOAD_BYTES + 1) if (whose(view, at) === member.who) own++;
      if (own > 0) member.gotOwn(own);
    }
    member.got(count);
  },
  payloads: (text) => text.split("\n"),
};

const EVENT = '42["m","';

/** Engine.IO 4 over WebSocket only. Its own client begins with polling. */
const socketio: Dialect = {
  path: (_template, { room }) => `/socket.io/?EIO=4&transport=websocket&room=${room}`,
  headers: (token) => [`Authorization: Bearer ${token}`],
  hello: ({ place, notesPlace }) => [
    notesPlace ? `40${JSON.stringify({ pid: place.session, offset: place.offset })}` : "40",
  ],
  readyWhenOpen: false,
  publish: (who, n) => `${EVENT}${payload(who, n)}"]`,
  whole: () => false,
  read(member, view) {
    const [first, second] = view;
    if (first === 0x34 && second === 0x32) {
      // With recovery, an offset follows the payload.
      if (member.notesPlace)
        member.place.offset = (JSON.parse(view.subarray(2).toString("latin1")) as string[])[2] ?? "";
      if (member.who >= 0 && whose(view, EVENT.length) === member.who) member.gotOwn(1);
      member.got(1);
    } else if (first === 0x34 && second === 0x30) {
      const { pid = "" } = JSON.parse(view.subarray(2).toString("latin1")) as { pid?: string };
      member.resumed = pid !== "" && pid === member.place.session;
      member.place.session = pid;
      member.enter();
    } else if (first === 0x32) member.say("3");
    else if (first !== 0x30) member.fail(view.subarray(0, 96).toString("latin1"));
  },
  payloads: (text) => (text.startsWith(EVENT) ? [text.slice(EVENT.length, EVENT.length + PAYLOAD_BYTES)] : []),
};

const MESSAGE = '{"type":"message","data":"';

/** Plain JSON without a library, with its own ping: what the cost bench compares with. */
const obvious: Dialect = {
  ...plain,
  publish: (who, n) => `${MESSAGE}${payload(who, n)}"}`,
  signal: (who, n) => `{"type":"signal","data":"${payload(who, n)}"}`,
  read(member, view) {
    const type = view.subarray(9, 13).toString("latin1");
    if (type === "ping") return member.say('{"type":"pong"}');
    if (type !== "mess") return;
    if (member.who >= 0 && whose(view, MESSAGE.length) === member.who) member.gotOwn(1);
    member.got(1);
  },
  payloads: (text) => (text.startsWith(MESSAGE) ? [text.slice(MESSAGE.length, MESSAGE.length + PAYLOAD_BYTES)] : []),
};

/** By name, as rivals.ts uses them. */
export const dialects = {
  plain,
  lines,
  socketio,
  edgerooms,
  "edgerooms-without-credit": edgeroomsWithoutCredit,
  obvious,
};
