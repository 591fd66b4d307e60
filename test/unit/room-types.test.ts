/** What the types of hooks take and refuse. The compiler is the judge: most of these are right when this file compiles. */
import { expect, it } from "vitest";
import { defineRoom, reject, type RoomContext } from "../../src/room/definition.ts";
import type { Json } from "../../src/protocol/frames.ts";
import type { Data, Of } from "../../src/protocol/room-types.ts";
import { HostedRoom } from "../support/hosted.ts";

interface Message {
  readonly text: string;
  readonly name?: string;
}

interface Cursor {
  readonly x: number;
}

interface Board {
  readonly messages: readonly Message[];
}

interface Chat {
  publication: Message;
  presence: Cursor;
  snapshot: Board;
  call: { readonly title: string };
  timer: Message;
}

/** Whether the compiler finds that `A` may stand where `B` is wanted. */
type May<A, B> = A extends B ? true : false;

it("T24: an interface is what a typed room is given and returns, without a cast", async () => {
  const last = (room: RoomContext<Chat>): Message | undefined => room.recent(1)[0]?.data;
  const definition = defineRoom<Chat>({
    onPublish(room, me, data, { offset }) {
      if (data.text === "") return reject("empty");
      room.schedule("remind", room.now + 1_000, { text: `after ${offset}` });
      return { text: data.text.trim(), ...(me.name !== undefined && { name: me.name }) };
    },
    onPresence: (_room, me, data) => (data.x < (me.data?.x ?? 0) ? reject("backwards") : { x: data.x }),
    onTimer(room, _name, data) {
      room.publish({ text: data.text });
    },
    snapshot: (room) => ({ messages: room.recent(10).map(({ data }) => data) }),
    methods: {
      rename: (room, _me, { title }) => ({ title, last: last(room)?.text ?? null }),
    },
  });
  const room = new HostedRoom();
  room.definition = definition;
  const ann = await room.join({ credentials: { name: "Ann" } });
  await room.settled(ann.say({ type: "publish", ref: 1, data: { text: " hello " } }));
  await room.settled(ann.say({ type: "call", ref: 1, method: "rename", data: { title: "t" } }));
  await room.pass(1_000);
  expect(ann.items.map(({ data }) => data)).toEqual([{ text: "hello", name: "Ann" }, { text: "after 1" }]);
  expect(ann.of("reply")[0]?.data).toEqual({ title: "t", last: "hello" });
});

it("T24: a room that says nothing of its data is as easy as before, and may return interfaces", async () => {
  const message: Message = { text: "from an interface" };
  const board: Board = { messages: [message] };
  const room = new HostedRoom({
    onPublish(self, _me, data) {
      const said: Json = data;
      self.publish(message);
      self.signal([message]);
      return said === "swap" ? message : undefined;
    },
    snapshot: () => board,
    methods: { board: () => board, echo: (_room, _me, args) => args },
  });
  const ann = await room.join();
  await room.settled(ann.say({ type: "publish", ref: 1, data: "swap" }));
  expect(ann.items.map(({ data }) => data)).toEqual([message, message]);
  expect(ann.of("snapshot")[0]?.data).toEqual(board);
});

it("T24: what JSON would turn into something else is refused by the compiler", () => {
  const refused: {
    promise: May<Promise<string>, Data>;
    work: May<() => number, Data>;
    map: May<Map<string, number>, Data>;
    set: May<Set<string>, Data>;
    bytes: May<Uint8Array, Data>;
    nothing: May<undefined, Data>;
    big: May<bigint, Data>;
  } = { promise: false, work: false, map: false, set: false, bytes: false, nothing: false, big: false };
  const taken: {
    json: May<Json, Data>;
    one: May<Message, Data>;
    many: May<readonly Message[], Data>;
    nested: May<Board, Data>;
    date: May<Date, Data>;
  } = { json: true, one: true, many: true, nested: true, date: true };
  const typed: { said: May<Of<Chat, "publication">, Message>; unsaid: May<Of<Chat, "signal">, Json> } = {
    said: true,
    unsaid: true,
  };
  expect([...Object.values(refused), ...Object.values(taken), ...Object.values(typed)]).toContain(true);
});
