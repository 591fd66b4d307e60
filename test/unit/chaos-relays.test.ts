/** The checker of test/chaos, shown to work on what is new in a room that is spread over relays: each planted lie is found. */
import { describe, expect, it } from "vitest";
import { WHO, type Json, type ServerFrame } from "../../src/protocol/frames.ts";
import { check } from "../chaos/checker.ts";
import { Epochs } from "../chaos/epochs.ts";
import type { Event, Happening } from "../chaos/record.ts";
import type { Opened } from "../chaos/relayed.ts";
import { shortcomings } from "../chaos/report.ts";
import { Truth, type TruthPage } from "../chaos/truth.ts";
import type { PromiseName } from "../chaos/verdict.ts";

const ROOM = "large/hall";
const RELAY = "large/hall/any/0";

/** Bob, who is in the room, said four things; ann, who is at a relay, the fifth. The epoch changed after the second. */
const said: TruthPage["said"] = [1, 2, 3, 4, 5].map((offset) =>
  offset === 5 ? [5, 5, "ann", "anns", "c0.1", 100_012] : [offset, offset, "bob", "bobs", `b.${offset}`, 100_000],
);

const page: TruthPage = {
  said,
  kept: said.map(([, offset, , , data]) => [offset, data] as const),
  people: [
    [1, "ann", "join"],
    [2, "bob", "join"],
  ],
  epochs: ["e1 0", "e1 0 e2 2"],
  members: [
    ["ann", "null"],
    ["bob", "null"],
  ],
};

const item = (offset: number) => {
  const [, , by = "", , data = "", at = 0] = said[offset - 1] ?? [];
  return { offset, by, at, data };
};

const pub = (from: number, upto: number): ServerFrame => {
  const items = Array.from({ length: upto - from + 1 }, (_, i) => item(from + i));
  return { type: "pub", from, upto, items };
};

const welcome = (change: Partial<Extract<ServerFrame, { type: "welcome" }>> = {}): ServerFrame => ({
  type: "welcome",
  session: "anns",
  member: "ann",
  epoch: "e1",
  offset: 0,
  resumed: false,
  ref: 0,
  heartbeat: { next: 2_000 },
  limits: { message: 65_536, batch: 256, rate: 200, burst: 400, refs: 256 },
  expires: 900_000,
  members: [],
  count: 2,
  ...change,
});

const heard = (conn: string, ...frames: ServerFrame[]): Happening => ({ what: "in", client: "c0", conn, frames });
const called = (ref: number, method: string, data: Json): Happening => ({
  what: "out",
  client: "c0",
  conn: "c0#1",
  frames: [{ type: "call", ref, method, data }],
});
const replied = (ref: number, data: Json) => heard("c0#1", { type: "reply", ref, data });
const dial = { what: "dial", client: "c0", user: "ann", room: ROOM } as const;
const end = { conn: "c0#2", open: true, position: 5, pending: 0, members: [] } as const;
const who = { members: [{ id: "ann" }, { id: "bob" }], count: 2 };

/** Ann's life at relays: joins, is told of another epoch, calls, publishes, is cut, resumes. Named, so that tests can plant. */
const clean = {
  begin: [
    { what: "begin", client: "c1", user: "bob", room: ROOM, sort: "raw" },
    { ...dial, client: "c1", user: "bob", conn: "c1#1" },
    { what: "begin", client: "c0", user: "ann", room: ROOM, sort: "raw" },
  ],
  join: [
    { ...dial, conn: "c0#1" },
    heard("c0#1", welcome({ reason: "new" }), { type: "snapshot", data: [], offset: 0, reason: "new" }),
  ],
  early: [heard("c0#1", pub(1, 2))],
  epoch: [heard("c0#1", { type: "epoch", epoch: "e2" })],
  late: [heard("c0#1", pub(3, 4))],
  count: [heard("c0#1", { type: "presence", count: 2 })],
  call: [called(1, "double", 7), replied(1, 14)],
  who: [called(2, WHO, { after: "", limit: 5 }), replied(2, who)],
  publish: [
    { what: "say", client: "c0", data: "c0.1" },
    { what: "out", client: "c0", conn: "c0#1", frames: [{ type: "publish", ref: 1, data: "c0.1" }] },
    heard("c0#1", { type: "ack", ref: 1, offset: 5, at: 100_012 }),
    { what: "settled", client: "c0", data: "c0.1", offset: 5 },
  ],
  operator: [],
  redial: [{ ...dial, conn: "c0#2", session: "anns", epoch: "e2", offset: 4 }],
  resume: [heard("c0#2", welcome({ epoch: "e2", offset: 5, resumed: true, ref: 1 }), pub(5, 5))],
  bob: [
    {
      what: "in",
      client: "c1",
      conn: "c1#1",
      frames: [
        welcome({ session: "bobs", member: "bob", epoch: "e2", offset: 5, reason: "new" }),
        { type: "snapshot", data: [1, 2, 3, 4, 5].map(item), offset: 5, reason: "new" },
      ],
    },
  ],
  end: [
    { what: "final", client: "c0", count: 2, ...end },
    { what: "final", client: "c1", count: 2, ...end, conn: "c1#1", position: 5 },
  ],
} satisfies Record<string, Happening[]>;

type Part = keyof typeof clean;
type Plant = Partial<Record<Part, Happening[]>>;

const play = (plant: Plant = {}): Event[] =>
  (Object.keys(clean) as Part[])
    .flatMap((part): Happening[] => plant[part] ?? clean[part])
    .map((each, i) => ({ ...each, t: 100_000 + i }));

const opened: Opened[] = [
  [100_004, "ann", "", RELAY],
  [100_018, "ann", "anns", RELAY],
];

const judge = (events: readonly Event[], change: Partial<TruthPage> = {}, relayed = opened) => {
  const truth = new Truth(ROOM, [{ ...page, ...change }], relayed);
  const verdict = check(events, new Map([[ROOM, truth]]));
  const { violations } = verdict;
  return { verdict, broken: violations.map(({ promise }) => promise), texts: violations.map(({ text }) => text) };
};

it("lets a clean history pass, and counts what went through relays", () => {
  const { verdict, texts } = judge(play());
  expect(texts).toEqual([]);
  expect(Object.fromEntries(verdict.counts)).toMatchObject({
    "through relays": 2,
    "through relays members": 1,
    "through relays resumed": 1,
    "epochs told": 1,
    "calls answered": 2,
    "counts told": 4,
    deliveries: 5,
  });
  expect(shortcomings(verdict)).toEqual([]);
});

it("says that a run is worth nothing when no session was resumed at a relay", () => {
  const { verdict, texts } = judge(play(), {}, opened.slice(0, 1));
  expect(texts).toEqual([]);
  expect(shortcomings(verdict)).toEqual(["no session was ever resumed at a relay"]);
});

/** A client goes on with ann's session. */
const taken = (client: string, conn: string): Happening[] => [
  { ...dial, client, conn, session: "anns", epoch: "e2", offset: 5 },
  { what: "in", client, conn, frames: [welcome({ epoch: "e2", offset: 5, resumed: true, ref: 1 })] },
];

const lies: [string, PromiseName, Plant][] = [
  ["a loss at a relay", "loss", { late: [heard("c0#1", pub(4, 4))] }],
  ["something that comes twice", "double", { late: [heard("c0#1", pub(2, 4))] }],
  ["a resume that skips something", "loss", { resume: [heard("c0#2", welcome({ resumed: true, offset: 5 }))] }],
  ["an epoch that the room never had", "resume", { epoch: [heard("c0#1", { type: "epoch", epoch: "e9" })] }],
  ["an epoch told twice", "resume", { epoch: [...clean.epoch, ...clean.epoch] }],
  [
    "an older epoch after a newer one",
    "resume",
    { late: [...clean.late, heard("c0#1", { type: "epoch", epoch: "e1" })] },
  ],
  ["positions in an epoch that had ended", "resume", { epoch: [] }],
  [
    "a welcome in an epoch that had ended",
    "resume",
    { resume: [heard("c0#2", welcome({ epoch: "e1", offset: 5, resumed: true, ref: 1 }), pub(5, 5))] },
  ],
  [
    "a client that continues from an epoch that had ended",
    "resume",
    { redial: [{ ...dial, conn: "c0#2", session: "anns", epoch: "e1", offset: 4 }] },
  ],
  [
    "a list of who is there",
    "presence",
    { count: [heard("c0#1", { type: "presence", join: [{ id: "bob" }], count: 2 })] },
  ],
  ["nobody at all", "presence", { count: [heard("c0#1", { type: "presence", count: 0 })] }],
  ["more members than ever came", "presence", { count: [heard("c0#1", { type: "presence", count: 3 })] }],
  [
    "a wrong count at the end",
    "presence",
    { end: [{ what: "final", client: "c0", count: 1, ...end }, ...clean.end.slice(1)] },
  ],
  ["an answer that comes twice", "ack", { call: [...clean.call, replied(1, 14)] }],
  ["an answer to somebody else", "ack", { call: [replied(1, 14)] }],
  ["a wrong answer", "ack", { call: [called(1, "double", 7), replied(1, 15)] }],
  [
    "a page of members out of order",
    "ack",
    { who: [...clean.who.slice(0, 1), replied(2, { ...who, members: who.members.toReversed() })] },
  ],
  [
    "a stranger among members",
    "ack",
    { who: [...clean.who.slice(0, 1), replied(2, { members: [{ id: "eve" }], count: 2 })] },
  ],
  ["a page that is longer than all", "ack", { who: [...clean.who.slice(0, 1), replied(2, { ...who, count: 1 })] }],
  [
    "a call that fails for no reason",
    "ack",
    {
      call: [
        called(1, "double", 7),
        heard("c0#1", { type: "reply", ref: 1, error: { code: "forbidden", message: "", retryable: false } }),
      ],
    },
  ],
  [
    "two clients that take one session from one another",
    "stuck",
    { operator: [1, 2, 3, 4].flatMap((n) => [...taken("c2", `c2#${n}`), ...taken("c0", `c0#1${n}`)]) },
  ],
  [
    "a publish of a session that an operator had ended",
    "token",
    {
      early: [{ what: "ending", user: "ann", room: ROOM }, { what: "ended", user: "ann", room: ROOM }, ...clean.early],
    },
  ],
  [
    "a publish that was sent after the token had ended",
    "token",
    {
      join: [
        { ...dial, conn: "c0#1" },
        heard("c0#1", welcome({ reason: "new", expires: 100_008 }), {
          type: "snapshot",
          data: [],
          offset: 0,
          reason: "new",
        }),
      ],
    },
  ],
  [
    "a session that is called unknown though nobody has ended it",
    "resume",
    {
      resume: [
        heard("c0#2", welcome({ session: "news", epoch: "e2", offset: 5, reason: "session_unknown" }), {
          type: "snapshot",
          data: said.map(([offset]) => item(offset)),
          offset: 5,
          reason: "session_unknown",
        }),
      ],
    },
  ],
];

describe("finds a planted lie, and the smallest prefix that shows it:", () => {
  it.each(lies)("%s", (_, promise, plant) => {
    const events = play(plant);
    const { broken, verdict } = judge(events);
    expect(broken).toContain(promise);
    const smallest = Math.min(...verdict.violations.map(({ prefix }) => prefix));
    // What an operator ended is judged at the end, of whatever there is.
    if (promise === "token") return;
    const shows = (length: number) => judge(events.slice(0, length)).broken.length > 0;
    expect(shows(smallest)).toBe(true);
    for (let length = 0; length < smallest; length++) expect(shows(length), `${length} events`).toBe(false);
  });
});

it("lets a relay be late with what was sent before the token had ended", () => {
  // Sent at 100 014, by a token that is over at 100 015; stored at 100 500.
  const stored: TruthPage["said"] = said.map((each) => (each[0] === 5 ? [5, 5, "ann", "anns", "c0.1", 100_500] : each));
  const plant: Plant = {
    join: [
      { ...dial, conn: "c0#1" },
      heard("c0#1", welcome({ reason: "new", expires: 100_015 }), {
        type: "snapshot",
        data: [],
        offset: 0,
        reason: "new",
      }),
    ],
    publish: [
      ...clean.publish.slice(0, 2),
      heard("c0#1", { type: "ack", ref: 1, offset: 5, at: 100_500 }),
      ...clean.publish.slice(3),
    ],
    resume: [
      heard("c0#2", welcome({ epoch: "e2", offset: 5, resumed: true, ref: 1 }), {
        type: "pub",
        from: 5,
        upto: 5,
        items: [{ ...item(5), at: 100_500 }],
      }),
    ],
  };
  expect(judge(play(plant), { said: stored }).texts).toEqual([]);
});

it("knows that a session which an operator has ended is unknown, and no other one", () => {
  const operator: Happening[] = [
    { what: "ending", user: "ann", room: ROOM },
    { what: "ended", user: "ann", room: ROOM },
  ];
  const resume = [
    heard("c0#2", welcome({ session: "news", epoch: "e2", offset: 5, reason: "session_unknown" }), {
      type: "snapshot",
      data: said.map(([offset]) => item(offset)),
      offset: 5,
      reason: "session_unknown",
    } as const),
  ];
  expect(judge(play({ operator, resume })).texts).toEqual([]);
  expect(
    judge(play({ operator: operator.map((each) => ({ ...each, user: "bob" }) as Happening), resume })).broken,
  ).toEqual(["resume"]);
});

it("keeps the epochs that the room forgets", () => {
  const epochs = new Epochs(["a 0", "a 0 b 3", "b 3 c 9", "c 9 d 9"]);
  expect(["a", "b", "c", "d"].map((id) => epochs.endOf(id))).toEqual([3, 9, 9, Infinity]);
  expect(epochs.isAfter("c", "a")).toBe(true);
  expect(epochs.isAfter("a", "c")).toBe(false);
  expect(epochs.has("x")).toBe(false);
});
