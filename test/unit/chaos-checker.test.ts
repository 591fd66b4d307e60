/** The checker of test/chaos, shown to work: each kind of lie, planted in a history that was clean, is found. */
import { describe, expect, it } from "vitest";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import { check, tailOf } from "../chaos/checker.ts";
import type { Event, Happening } from "../chaos/record.ts";
import { complaints } from "../chaos/report.ts";
import { addressees } from "../chaos/saying.ts";
import { Truth, type TruthPage } from "../chaos/truth.ts";
import type { PromiseName } from "../chaos/verdict.ts";

const ROOM = "tight/east";
const HEAD = 8;

/** What was published: ann by turns with bob, the sixth for bob alone (and its author). */
const said = Array.from({ length: HEAD }, (_, i): TruthPage["said"][number] => {
  const offset = i + 1;
  const by = offset % 2 === 1 ? "ann" : "bob";
  const text = `${by === "ann" ? "a" : "b"}.${Math.ceil(offset / 2)}${offset === 6 ? ">bob" : ""}`;
  return [offset, offset, by, `${by}s`, text, 100_000 + offset];
});

const page = (change: Partial<TruthPage> = {}): TruthPage => ({
  said,
  kept: said.map(([, offset, , , data]) => [offset, data] as const),
  people: [
    [1, "ann", "join"],
    [2, "bob", "join"],
  ],
  members: [
    ["ann", "null"],
    ["bob", "null"],
  ],
  ...change,
});

const item = (offset: number) => {
  const [, , by = "", , data = "", at = 0] = said[offset - 1] ?? [];
  const to = addressees(data);
  return { offset, by, at, data, ...(to && { to }) };
};

const pub = (from: number, upto: number, shown?: number[]): ServerFrame => {
  const offsets = shown ?? Array.from({ length: upto - from + 1 }, (_, i) => from + i).filter((o) => o !== 6);
  return { type: "pub", from, upto, items: offsets.map(item) };
};

const welcome = (change: Partial<Extract<ServerFrame, { type: "welcome" }>> = {}): ServerFrame => ({
  type: "welcome",
  session: "anns",
  member: "ann",
  epoch: "e",
  offset: 0,
  resumed: false,
  reason: "new",
  ref: 0,
  heartbeat: { next: 2_000 },
  limits: { message: 65_536, batch: 256, rate: 200, burst: 400, refs: 256 },
  expires: 900_000,
  members: [{ id: "ann" }],
  ...change,
});

const resumed = (change: object = {}): ServerFrame => {
  const { reason: _, ...frame } = welcome({ offset: 4, resumed: true, ref: 2 }) as Extract<
    ServerFrame,
    { type: "welcome" }
  >;
  return { ...frame, ...change };
};

const heard = (conn: string, ...frames: ServerFrame[]): Happening => ({ what: "in", client: "c0", conn, frames });
const handed = (...offsets: number[]): Happening[] =>
  offsets.map((o) => ({ what: "item", client: "c0", offset: o, by: item(o).by, data: item(o).data }));
const sent = (conn: string, ref: number, data: string): Happening => ({
  what: "out",
  client: "c0",
  conn,
  frames: [{ type: "publish", ref, data }],
});
const dial = { what: "dial", client: "c0", user: "ann", room: ROOM } as const;

const bobJoins: ServerFrame[] = [
  welcome({ session: "bobs", member: "bob", offset: HEAD, members: [{ id: "ann" }, { id: "bob" }] }),
  { type: "snapshot", data: [1, 2, 3, 4, 5, 6, 7, 8].map(item), offset: HEAD, reason: "new" },
];

/** Ann's life: joins, publishes, is cut, resumes, publishes on, is there at the end. Named, so that tests can plant. */
const clean = {
  begin: [{ what: "begin", client: "c0", user: "ann", room: ROOM, sort: "sdk" }],
  dial: [{ ...dial, conn: "c0#1" }],
  join: [heard("c0#1", welcome(), { type: "snapshot", data: [], offset: 0, reason: "new" })],
  reset: [{ what: "reset", client: "c0", offset: 0, reason: "new" }],
  bob: [heard("c0#1", { type: "presence", join: [{ id: "bob" }] })],
  say: [{ what: "say", client: "c0", data: "a.1" }, sent("c0#1", 1, "a.1")],
  ack: [heard("c0#1", { type: "ack", ref: 1, offset: 1, at: 100_001 }, pub(1, 1))],
  told: [...handed(1), { what: "settled", client: "c0", data: "a.1", offset: 1 }],
  more: [heard("c0#1", pub(2, 3)), ...handed(2, 3)],
  lost: [
    { what: "fault", fault: "cut", target: "c0" },
    { what: "lost", client: "c0", conn: "c0#1", code: 1006 },
  ],
  redial: [{ ...dial, conn: "c0#2", session: "anns", epoch: "e", offset: 3 }],
  resume: [heard("c0#2", resumed({ members: [{ id: "ann" }, { id: "bob" }] }), pub(4, 4))],
  caught: [...handed(4), { what: "resumed", client: "c0", offset: 4 }],
  rest: [heard("c0#2", pub(5, 7)), ...handed(5, 7)],
  last: [heard("c0#2", pub(8, 8)), ...handed(8)],
  bobs: [
    { what: "begin", client: "c1", user: "bob", room: ROOM, sort: "raw" },
    { ...dial, client: "c1", user: "bob", conn: "c1#1" },
    { what: "in", client: "c1", conn: "c1#1", frames: bobJoins },
  ],
  end: [
    {
      what: "final",
      client: "c0",
      conn: "c0#2",
      open: true,
      position: 8,
      pending: 0,
      members: ["ann null", "bob null"],
    },
    {
      what: "final",
      client: "c1",
      conn: "c1#1",
      open: true,
      position: 8,
      pending: 0,
      members: ["ann null", "bob null"],
    },
  ],
} satisfies Record<string, Happening[]>;

type Part = keyof typeof clean;
type Plant = Partial<Record<Part, Happening[]>>;

const play = (plant: Plant = {}): Event[] =>
  (Object.keys(clean) as Part[])
    .flatMap((part) => plant[part] ?? clean[part])
    .map((each, i) => ({ ...each, t: 100_000 + i }));

const judge = (events: readonly Event[], change: Partial<TruthPage> = {}, before?: TruthPage) => {
  const truth = new Truth(ROOM, [page(change)]);
  if (before) truth.follows(new Truth(ROOM, [before]));
  return check(events, new Map([[ROOM, truth]]));
};

it("lets a clean history pass, and counts what it saw", () => {
  const verdict = judge(play());
  expect(verdict.violations).toEqual([]);
  expect(Object.fromEntries(verdict.counts)).toMatchObject({
    "fault cut": 1,
    deliveries: 7,
    acks: 1,
    publishes: 1,
    resumed: 1,
    "reset new": 2,
  });
});

const lies: [string, PromiseName, Plant][] = [
  ["a loss within a pub", "loss", { rest: [heard("c0#2", pub(5, 7, [5])), ...handed(5)] }],
  ["a loss between two pubs", "loss", { more: [heard("c0#1", pub(3, 3)), ...handed(3)] }],
  ["a publication that the SDK kept to itself", "loss", { more: [heard("c0#1", pub(2, 3)), ...handed(3)] }],
  ["a loss behind a resumed", "loss", { caught: [{ what: "resumed", client: "c0", offset: 4 }] }],
  [
    "something that is not what was stored",
    "loss",
    {
      last: [heard("c0#2", { type: "pub", from: 8, upto: 8, items: [{ ...item(8), data: "b.9" }] })],
    },
  ],
  ["an item that comes twice", "double", { more: [heard("c0#1", pub(2, 3)), ...handed(2, 3, 3)] }],
  ["a pub that comes twice", "double", { more: [heard("c0#1", pub(2, 3)), heard("c0#1", pub(2, 3)), ...handed(2, 3)] }],
  ["items out of order in a frame", "order", { more: [heard("c0#1", pub(2, 3, [3, 2])), ...handed(2, 3)] }],
  ["items handed over out of order", "order", { rest: [heard("c0#2", pub(5, 7)), ...handed(7, 5)] }],
  [
    "a frame after bye",
    "order",
    {
      lost: [heard("c0#1", { type: "bye", code: 1012, reason: "restarting" }), heard("c0#1", pub(4, 4))],
    },
  ],
  [
    "an ack for what is somebody else's",
    "ack",
    { ack: [heard("c0#1", { type: "ack", ref: 1, offset: 2, at: 100_002 }, pub(1, 1))] },
  ],
  [
    "an ack for what was never sent",
    "ack",
    { more: [heard("c0#1", { type: "ack", ref: 2, offset: 3, at: 100_003 }, pub(2, 3)), ...handed(2, 3)] },
  ],
  [
    "an ack for what a crash undid",
    "ack",
    { ack: [heard("c0#1", { type: "ack", ref: 1, offset: 9, at: 100_009 }, pub(1, 1))] },
  ],
  [
    "two acks that differ",
    "ack",
    { more: [heard("c0#1", { type: "ack", ref: 1, offset: 3, at: 100_003 }, pub(2, 3)), ...handed(2, 3)] },
  ],
  [
    "a promise that settles twice",
    "ack",
    { told: [...clean.told, { what: "settled", client: "c0", data: "a.1", offset: 1 }] },
  ],
  [
    "a failure of what took effect",
    "ack",
    { told: [...handed(1), { what: "failed", client: "c0", data: "a.1", code: "rejected" }] },
  ],
  [
    "an outcome that is called unknown though the session goes on",
    "ack",
    {
      more: [
        ...clean.more,
        { what: "say", client: "c0", data: "a.9" },
        { what: "failed", client: "c0", data: "a.9", code: "outcome_unknown" },
      ],
    },
  ],
  ["resumed from nowhere", "resume", { redial: [{ ...dial, conn: "c0#2" }] }],
  [
    "resumed in another session",
    "resume",
    { resume: [heard("c0#2", resumed({ session: "other", members: [{ id: "ann" }] }), pub(4, 4))] },
  ],
  ["resumed and yet something is skipped", "loss", { resume: [heard("c0#2", resumed(), pub(5, 5))] }],
  [
    "a reset that the log gives no reason for",
    "resume",
    {
      resume: [
        heard("c0#2", resumed({ resumed: false, reason: "log_trimmed" }), {
          type: "snapshot",
          data: [1, 2, 3, 4].map(item),
          offset: 4,
          reason: "log_trimmed",
        }),
      ],
    },
  ],
  [
    "a session that is called unknown though it published just now",
    "resume",
    {
      resume: [
        heard("c0#2", resumed({ session: "news", resumed: false, reason: "session_unknown" }), {
          type: "snapshot",
          data: [],
          offset: 4,
          reason: "session_unknown",
        }),
      ],
    },
  ],
  [
    "a position that is called ahead",
    "resume",
    {
      resume: [
        heard("c0#2", resumed({ resumed: false, reason: "offset_ahead", offset: 2 }), {
          type: "snapshot",
          data: [],
          offset: 2,
          reason: "offset_ahead",
        }),
      ],
    },
  ],
  [
    "a snapshot that leaves something out",
    "resume",
    {
      join: [
        heard("c0#1", welcome({ offset: 3 }), { type: "snapshot", data: [1, 3].map(item), offset: 3, reason: "new" }),
      ],
    },
  ],
  [
    "another user's name",
    "foreign",
    { join: [heard("c0#1", welcome({ member: "bob" }), { type: "snapshot", data: [], offset: 0, reason: "new" })] },
  ],
  [
    "the session of another",
    "foreign",
    {
      begin: [
        { what: "begin", client: "c9", user: "bob", room: ROOM, sort: "raw" },
        { ...dial, client: "c9", user: "bob", conn: "c9#1" },
        { what: "in", client: "c9", conn: "c9#1", frames: [welcome({ member: "bob", members: [{ id: "bob" }] })] },
        ...clean.begin,
      ],
    },
  ],
  ["what was addressed to another", "foreign", { rest: [heard("c0#2", pub(5, 7, [5, 6, 7])), ...handed(5, 7)] }],
  ["a join told twice", "presence", { bob: [...clean.bob, ...clean.bob] }],
  ["a leave of nobody", "presence", { bob: [...clean.bob, heard("c0#1", { type: "presence", leave: ["eve"] })] }],
  ["a welcome without oneself", "presence", { resume: [heard("c0#2", resumed({ members: [] }), pub(4, 4))] }],
  [
    "a ghost at the end",
    "presence",
    { end: [{ ...clean.end[0], members: ["ann null", "bob null", "eve null"] } as Happening] },
  ],
  ["a member whom no connection is of", "presence", { end: clean.end.slice(0, 1) }],
  ["someone who never comes back", "stuck", { end: [{ ...clean.end[0], open: false } as Happening] }],
  ["someone who is behind at the end", "stuck", { last: [], end: [{ ...clean.end[0], position: 7 } as Happening] }],
  ["a publish without an answer at the end", "stuck", { end: [{ ...clean.end[0], pending: 1 } as Happening] }],
];

describe("finds a planted lie, and the smallest prefix that shows it:", () => {
  it.each(lies)("%s", (_, promise, plant) => {
    const events = play(plant);
    const { violations } = judge(events);
    expect(violations.map((violation) => violation.promise)).toContain(promise);
    // What shows at the end only needs it all; every other prefix that is one event shorter shows nothing.
    const smallest = Math.min(...violations.map(({ prefix }) => prefix));
    const shows = (length: number) => judge(events.slice(0, length)).violations.length > 0;
    expect(shows(smallest)).toBe(true);
    for (let length = 0; length < smallest; length++) expect(shows(length), `${length} events`).toBe(false);
  });
});

it("finds a frame that was taken after the token had ended", () => {
  const begin: Happening[] = [{ what: "begin", client: "c0", user: "ann", room: ROOM, sort: "raw" }];
  const join = [
    heard("c0#1", welcome({ expires: 100_000 }), { type: "snapshot", data: [], offset: 0, reason: "new" } as const),
  ];
  expect(judge(play({ begin, join })).violations.map(({ promise }) => promise)).toEqual(["token"]);
});

it("lets the holder of a session that an operator ended hear its welcome, then the end, later than the operator", () => {
  const more: Happening[] = [...clean.more, { what: "say", client: "c0", data: "a.9" }];
  const redial: Happening[] = [...clean.redial, { what: "ended", user: "ann", room: ROOM }];
  const unknown: Happening = { what: "failed", client: "c0", data: "a.9", code: "outcome_unknown" };
  const acks = (plant: Plant) => judge(play(plant)).violations.filter(({ promise }) => promise === "ack");
  expect(acks({ more, redial, caught: [...clean.caught, unknown] })).toEqual([]);
  expect(acks({ more, caught: [...clean.caught, unknown] })).toHaveLength(1);
});

it("takes the stack of what the server printed for a part of it", () => {
  const known = "actor-sqlite.c++:1: warning: NOSENTRY something\nstack: workerd@1 workerd@2";
  expect(complaints(`${known}\n`)).toEqual([]);
  expect(complaints(`${known}\nfailed: something\nstack: workerd@3`)).toEqual(["failed: something\nstack: workerd@3"]);
});

const room: [string, PromiseName, Partial<TruthPage>][] = [
  ["the same thing twice", "double", { said: [...said, [9, 9, "ann", "anns", "a.1", 100_009]] }],
  ["an offset left out", "order", { said: said.filter(([id]) => id !== 3) }],
  ["a member's publishes out of order", "order", { said: [...said, [9, 9, "ann", "anns", "a.3", 100_009]] }],
  ["a log that lost its end", "loss", { kept: page().kept.slice(0, 7) }],
  ["a log that has something else", "loss", { kept: [...page().kept.slice(0, 7), [8, "b.7"]] }],
  ["two joins in a row", "presence", { people: [...page().people, [3, "bob", "join"]] }],
  [
    "a leave within the grace",
    "presence",
    { people: [...page().people, [100_500, "ann", "leave"], [100_600, "ann", "join"]] },
  ],
  ["a ghost in the list", "presence", { members: [...page().members, ["eve", "null"]] }],
];

describe("finds in a room's own tables:", () => {
  it.each(room)("%s", (_, promise, change) => {
    expect(judge([], change).violations.map((violation) => violation.promise)).toContain(promise);
  });

  it("what a crash undid", () => {
    const lost = { said: said.slice(0, 7), kept: page().kept.slice(0, 7) };
    expect(judge([], lost, page()).violations.map(({ promise }) => promise)).toEqual(["loss"]);
  });
});

it("tells the end of a prefix, of what concerns the violation", () => {
  const events = play({ rest: [heard("c0#2", pub(5, 7, [5])), ...handed(5)] });
  const [violation] = judge(events).violations;
  if (!violation) throw new Error("no violation");
  const tail = tailOf(events, violation, 5);
  expect(tail).toHaveLength(5);
  expect(tail.at(-1)).toEqual(events[violation.prefix - 1]);
});
