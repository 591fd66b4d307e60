/** Where connections of large rooms are opened: who is asked in which order, what an isolate remembers, and for how long. */
import { describe, expect, it } from "vitest";
import { LargeRooms } from "../../src/http/gate/large-rooms.ts";
import { Places } from "../../src/http/gate/places.ts";
import { Misconfigured } from "../../src/ops/settings.ts";
import {
  answerElsewhere,
  answerFull,
  answerRefused,
  openUpgrade,
  type Admission,
  type Regions,
} from "../../src/room/admission.ts";

type Env = Record<string, DurableObjectNamespace>;

const SPREAD = { binding: "RELAY", from: 2, each: 3 };
const BERLIN = { continent: "EU", longitude: "13.4" };
/** What stands for an opened connection: this runtime makes no response with status 101. */
const opened = () => Object.assign(new Response(null), { webSocket: {} });

/** An app's large rooms over objects that answer as they are told; `asked` has who was asked, in order. */
function setUp(told: Partial<Record<Of, Answering>> = {}) {
  const asked: string[] = [];
  const admissions: Admission[] = [];
  const clock = { now: 1_000 };
  const answers = { room: () => answerElsewhere({}), relay: () => opened(), ...told };
  const namespace = (of: Of) => ({
    jurisdiction: () => namespace(of),
    getByName: (name: string, hint?: { locationHint: string }) => ({
      fetch(request: Request) {
        asked.push(hint ? `${name} near ${hint.locationHint}` : name);
        const admission = openUpgrade(request);
        if (admission) admissions.push(admission);
        return Promise.resolve().then(() => answers[of](name));
      },
      refresh(...given: unknown[]) {
        asked.push(`refresh ${name}`);
        return Promise.resolve().then(() => (of === "room" ? answers.room(name) : { ok: true, expires: 5, given }));
      },
    }),
  });
  const env = { ROOM: namespace("room"), SMALL: namespace("room"), RELAY: namespace("relay") } as unknown as Env;
  const kinds = { large: { room: "ROOM", relays: SPREAD }, small: "SMALL", eu: { room: "EU", jurisdiction: "eu" } };
  const places = new Places<Env>(kinds as never);
  const rooms = new LargeRooms<Env>(places, () => clock.now);
  const at = (room = "lobby", kind = "large") => {
    const address = { kind, room };
    return { env, address, stub: places.stub(env, address) };
  };
  const open = async (options: { session?: string; cf?: unknown; room?: string; kind?: string } = {}) => {
    const { session, cf, room, kind = "large" } = options;
    const where = at(room, kind);
    const admission = { ...where.address, ...ADMISSION, ...(session !== undefined && { resume: { session } }) };
    const answer = await rooms.open(where, admission, cf);
    return answer.webSocket ? "opened" : answer.json<object>();
  };
  return { asked, admissions, answers, at, clock, env, open, rooms };
}

type Of = "room" | "relay";
type Answering = (name: string) => unknown;

const ADMISSION = {
  credentials: { user: "ann", grants: ["join" as const], issued: 0, expires: 9_999 },
  requestId: "r",
  receivedAt: 0,
  credit: false,
};
const elsewhere = (regions: Regions) => () => answerElsewhere(regions);
const numbers = (asked: readonly string[]) => asked.map((name) => Number(name.split("/").at(-1)));

describe("a room", () => {
  it("of a kind without relays is asked as ever, and nothing else", async () => {
    const { asked, admissions, open } = setUp({ room: () => opened() });
    expect(await open({ kind: "small", cf: BERLIN })).toBe("opened");
    expect(asked).toEqual(["lobby"]);
    expect(admissions[0]).toEqual({ kind: "small", room: "lobby", ...ADMISSION });
  });

  it("that is small opens the connection itself; it is told how it would be spread", async () => {
    const { asked, admissions, open } = setUp({ room: () => opened() });
    expect([await open(), await open()]).toEqual(["opened", "opened"]);
    expect(asked).toEqual(["lobby", "lobby"]);
    expect(admissions[0]).toEqual({ kind: "large", room: "lobby", ...ADMISSION, spread: SPREAD });
  });

  it("that refuses has refused", async () => {
    const { asked, open } = setUp({ room: () => answerRefused({ code: "revoked" }) });
    expect(await open()).toMatchObject({ code: "revoked" });
    expect(asked).toEqual(["lobby"]);
  });

  it("that is large has it opened at a relay of the client's region, which is told its room", async () => {
    const { asked, admissions, open } = setUp();
    expect(await open({ cf: BERLIN })).toBe("opened");
    expect(asked).toEqual(["lobby", "large/lobby/weur/0 near weur"]);
    const relay = { binding: "RELAY", name: "large/lobby/weur/0", region: "weur" };
    const via = { relay, home: { binding: "ROOM", kind: "large", room: "lobby" }, each: 3 };
    expect(admissions[1]).toEqual({ kind: "large", room: "lobby", ...ADMISSION, via });
  });

  it("whose relays have no binding is misconfigured before it is large", async () => {
    const { asked, env, open } = setUp({ room: () => opened() });
    delete env["RELAY"];
    await expect(open()).rejects.toThrow(Misconfigured);
    expect(asked).toEqual([]);
  });

  it.each([{}, { any: 0 }, { any: -1 }, { any: 1.5 }, { any: "3" }, { any: null }, { any: NaN }, { weur: 9 }])(
    "of another version that names %j relays has at least one",
    async (regions) => {
      const { asked, open } = setUp({ room: elsewhere(regions as never), relay: () => answerFull() });
      await open();
      expect(asked).toEqual(["lobby", "large/lobby/any/0", "large/lobby/any/1"]);
    },
  );

  it.each([{}, { elsewhere: null }, { elsewhere: "here" }, null])("that answers %j has at least one", async (body) => {
    const { asked, open } = setUp({ room: () => Response.json(body, { status: 421 }) });
    expect(await open()).toBe("opened");
    expect(asked).toEqual(["lobby", "large/lobby/any/0"]);
  });
});

describe("an isolate", () => {
  it("remembers for a minute that a room is large, and then asks it again", async () => {
    const { answers, asked, clock, open } = setUp();
    await open();
    clock.now += 59_999;
    await open();
    expect(asked).toEqual(["lobby", "large/lobby/any/0", "large/lobby/any/0"]);
    clock.now += 1;
    answers.room = () => opened();
    await open();
    expect(asked.slice(3)).toEqual(["lobby"]);
  });

  it("remembers each room apart, and not more than a thousand", async () => {
    const { asked, open } = setUp();
    for (let i = 0; i <= 1_000; i++) await open({ room: `r${i}` });
    asked.length = 0;
    await open({ room: "r1" });
    await open({ room: "r0" });
    expect(asked).toEqual(["large/r1/any/0", "r0", "large/r0/any/0"]);
  });
});

describe("a relay", () => {
  it("is chosen by the session, so that who comes back finds it again", async () => {
    const { asked, open } = setUp({ room: elsewhere({ any: 5 }) });
    const sessions = ["a", "b", "c", "d", "e", "f"];
    for (const session of [...sessions, ...sessions]) await open({ session });
    const [, ...chosen] = numbers(asked);
    expect(chosen.slice(0, 6)).toEqual(chosen.slice(6));
    expect(new Set(chosen).size).toBeGreaterThan(2);
  });

  it("of each takes its share of those who come first", async () => {
    const { asked, open } = setUp({ room: elsewhere({ any: 4 }) });
    for (let i = 0; i < 400; i++) await open();
    const [, ...chosen] = numbers(asked);
    // Far from what chance brings: 100 each, with a deviation of 9.
    for (const index of [0, 1, 2, 3]) expect(chosen.filter((n) => n === index).length).toBeGreaterThan(40);
  });

  it("that is full is followed by the next, and all by a new one, which is remembered", async () => {
    const { asked, answers, open } = setUp({
      room: elsewhere({ any: 2 }),
      relay: (name) => (name.endsWith("/2") ? opened() : answerFull()),
    });
    expect(await open()).toBe("opened");
    const [, ...chosen] = numbers(asked);
    expect(new Set(chosen)).toEqual(new Set([0, 1, 2]));
    expect(chosen[2]).toBe(2);
    asked.length = 0;
    answers.relay = () => answerFull();
    await open();
    expect(new Set(numbers(asked))).toEqual(new Set([0, 1, 2, 3]));
  });

  it("is not found when eight are full, of which the last is new; then the room is asked again", async () => {
    const { asked, open } = setUp({ room: elsewhere({ any: 100 }), relay: () => answerFull() });
    const refused = { code: "room_full", message: "The relays of the room are full.", retryAfter: 1_000 };
    expect(await open()).toEqual(refused);
    const [, ...chosen] = numbers(asked);
    expect(chosen.length).toBe(8);
    expect(new Set(chosen).size).toBe(8);
    expect(chosen[7]).toBe(100);
    expect(chosen.slice(0, 7).every((n) => n < 100)).toBe(true);
    asked.length = 0;
    await open();
    expect(asked[0]).toBe("lobby");
  });

  it("that refuses has refused for the room", async () => {
    const { asked, open } = setUp({ room: elsewhere({ any: 3 }), relay: () => answerRefused({ code: "forbidden" }) });
    expect(await open()).toMatchObject({ code: "forbidden" });
    expect(asked.length).toBe(2);
  });

  it("that fails is followed by one other, and no third", async () => {
    const failed: string[] = [];
    const failing = (times: number) => (name: string) => {
      if (failed.length === times) return opened();
      failed.push(name);
      throw new Error(`failed ${failed.length}`);
    };
    const once = setUp({ room: elsewhere({ any: 3 }), relay: failing(1) });
    expect(await once.open()).toBe("opened");
    expect(once.asked.length).toBe(3);
    failed.length = 0;
    const twice = setUp({ room: elsewhere({ any: 3 }), relay: failing(2) });
    await expect(twice.open()).rejects.toThrow("failed 2");
    expect(twice.asked.length).toBe(3);
  });
});

describe("a session's next token", () => {
  const relay = { binding: "RELAY", name: "large/lobby/weur/3", region: "weur" };
  const refresh = async (answer: unknown, kind = "large") => {
    const { asked, at, rooms } = setUp({ room: () => answer });
    const result = await rooms.refresh(at("lobby", kind), "s", ADMISSION.credentials);
    return { asked, result };
  };

  it("goes to the relay that the room names, and what that says counts", async () => {
    const { asked, result } = await refresh({ ok: true, relay });
    expect(asked).toEqual(["refresh lobby", "refresh large/lobby/weur/3"]);
    expect(result).toEqual({ ok: true, expires: 5, given: ["s", ADMISSION.credentials] });
  });

  it.each<[string, unknown]>([
    ["has taken it", { ok: true, expires: 7 }],
    ["has refused it", { ok: false, code: "unknown_session", relay }],
    ["names another binding", { ok: true, relay: { ...relay, binding: "ROOM" } }],
    ["names a relay of another room", { ok: true, relay: { ...relay, name: "large/other/weur/3" } }],
    ["names a relay of another kind", { ok: true, relay: { ...relay, name: "small/lobby/weur/3" } }],
    ["names another region than its name", { ok: true, relay: { ...relay, region: "oc" } }],
    ["names none", { ok: true, relay: {} }],
    ["names nothing", { ok: true, relay: null }],
    ["answers nothing", undefined],
  ])("stays with a room that %s", async (_, answer) => {
    const { asked, result } = await refresh(answer);
    expect(asked).toEqual(["refresh lobby"]);
    expect(result).toEqual(answer);
  });

  it("never leaves a kind without relays", async () => {
    const { asked } = await refresh({ ok: true, relay: { ...relay, name: "small/lobby/weur/3" } }, "small");
    expect(asked).toEqual(["refresh lobby"]);
  });
});
