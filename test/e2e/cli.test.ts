/** The command `edgerooms` against the real `npm start`: what its commands do, and what they print. */
import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Json } from "../../src/protocol/frames.ts";
import { eventually } from "../support/patience.ts";
import { run, Running, Scene } from "./cli-run.ts";

const scene = new Scene();
beforeAll(() => scene.start());
afterEach(() => scene.clear());
afterAll(() => scene.server.stop());

it("token: prints a token that the server takes, with what was asked for in it, and nothing else", async () => {
  const rooms = { "room/a*": ["join", "admin"] };
  const { code, out, err } = await run([
    "token",
    "ann",
    "--name",
    "Ann",
    "--rooms",
    JSON.stringify(rooms),
    "--ttl",
    "15m",
  ]);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const { iat = 0, exp = 0, ...claims } = decodeJwt(out);
  expect(claims).toEqual({ sub: "ann", name: "Ann", rooms });
  expect(exp - iat).toBe(900);
  await scene.op(["publish", "a1", "here"]);
  const members = await scene.op(["members", "a1"], { env: { EDGEROOMS_TOKEN: out.trim() } });
  expect(members).toEqual({ code: 0, err: "", out: "Nobody is in a1.\n" });
  const elsewhere = await scene.op(["members", "b1"], { env: { EDGEROOMS_TOKEN: out.trim() } });
  expect(elsewhere.err).toMatch(/^edgerooms: 403 The token does not allow this\. \(request \S+\)\n$/);
  expect(elsewhere.code).toBe(1);
});

it("P: rooms, members and stats: tables of who is where, the same as JSON, and plain words where nobody is", async () => {
  expect(await scene.op(["rooms", "--kind", "nothing"])).toEqual({
    code: 0,
    err: "",
    out: "No room of kind nothing is live.\n",
  });
  const ann = await scene.enter("desk", "ann", "Ann");
  await scene.enter("desk", "bob");
  await scene.enter("desk-2", "bob");
  ann.send({ type: "presence", data: { typing: true } });
  await eventually(async () => expect((await scene.json<{ rooms: unknown[] }>("rooms")).rooms.length).toBe(2));
  await eventually(async () => expect((await scene.op(["members", "desk"])).out).toContain("typing"));

  const rooms = await scene.op(["rooms"]);
  const [head, first, second, blank, foot] = rooms.out.split("\n");
  expect(head).toMatch(/^KIND  ROOM    CONNECTIONS  MEMBERS  SESSIONS  OFFSET  REPORTED/);
  expect(first).toMatch(/^room  desk {14}\d {8}\d {9}\d {7}0  (?:now|\d+ s ago)$/);
  expect(second).toMatch(/^room  desk-2 {12}1 {8}1 {9}1 {7}0  (?:now|\d+ s ago)$/);
  expect([blank, foot]).toEqual(["", expect.stringMatching(/^2 rooms, [23] connections$/)]);
  expect((await scene.op(["members", "room/desk"])).out).toBe(
    ["USER  NAME  DATA", 'ann   Ann   {"typing":true}', "bob   -     -", "", "2 members", ""].join("\n"),
  );
  expect(await scene.json("members", "desk")).toEqual({
    members: expect.arrayContaining([{ id: "ann", name: "Ann", data: { typing: true } }, { id: "bob" }]) as unknown,
  });
  expect((await scene.op(["stats"])).out).toMatch(/^KIND  ROOMS  CONNECTIONS  MEMBERS  SESSIONS\nroom {6}2 /);
  expect(await scene.json("stats")).toMatchObject({ rooms: 2, kinds: [{ kind: "room", rooms: 2 }] });

  const { out } = await scene.op(["stats", "desk"]);
  expect(out).toMatch(/^ROOM +room\/desk\nMembers +2\nSessions +2\nConnections +2\nNewest offset +0\nLog +empty\n/);
  expect(out).toMatch(/^SESSION +USER +NAME +STATE +SINCE +HEARD +LAG +MISSED +UNREAD$/m);
  expect(out).toMatch(new RegExp(`^${ann.session} +ann +Ann +connected +(?:now|\\d+ s ago) +`, "m"));
  const { stats, sessions } = await scene.json<{ stats: object; sessions: { session: string }[] }>("stats", "desk");
  expect(stats).toMatchObject({ kind: "room", room: "desk", members: 2, connections: 2 });
  expect(sessions.map(({ session }) => session)).toContain(ann.session);
  await scene.op(["publish", "quiet", "here"]);
  const quiet = await scene.op(["stats", "quiet"]);
  expect(quiet.out).toContain("It has no sessions.");
  expect(quiet.out).toMatch(/^ticks of up to 1 events +\d+$/m);
  // What was counted; ids may hold anything.
  expect(quiet.out.split("Counted since")[1]).not.toMatch(/[|_]|\+Inf/);
  expect((await scene.op(["dead-letters", "desk"])).out).toBe("desk has no dead letters.\n");
  expect(await scene.json("redeliver", "desk")).toEqual({ pending: 0, redelivered: 0 });
  expect((await scene.op(["rooms", "--dead"])).out).toBe("No room has undelivered events.\n");
});

it("tables fit the terminal: text is cut where it is widest, numbers never", async () => {
  const name = "a name that is much longer than any terminal of forty cells is wide";
  await scene.enter("narrow", "ann", name);
  await scene.enter("narrow", "日本語のとても長い名前を持つ利用者さん".repeat(2));
  const { out } = await scene.op(["members", "narrow"], { env: { COLUMNS: "40" } });
  for (const line of out.split("\n")) {
    // Each of these letters takes two cells.
    const cells = line.length + (line.match(/\p{sc=Han}|\p{sc=Hiragana}/gu)?.length ?? 0);
    expect(cells, line).toBeLessThanOrEqual(40);
  }
  expect(out).toContain("…");
  expect((await scene.op(["members", "narrow"])).out).toContain(name);
});

it("publish: JSON as JSON, else text, or standard input; to some; and once under a key", async () => {
  const room = "said";
  for (const [args, input, data] of [
    [['{"n":1}'], undefined, { n: 1 }],
    [["hello there"], undefined, "hello there"],
    [["--", "-5"], undefined, -5],
    [["-"], "two\nlines\n", "two\nlines"],
    [["-"], "[1, 2]\n", [1, 2]],
  ] as const) {
    const ended = await scene.op(["publish", room, ...args], input === undefined ? {} : { input });
    expect(ended.out).toMatch(/^Published: offset \d+ of said, \d\d:\d\d:\d\d\.\n$/);
    const { items } = await scene.log(room);
    expect(items.at(-1)).toMatchObject({ by: "op", data });
  }
  const first = await scene.json("publish", room, "a secret", "--to", "ann,bob", "--to", "eve", "--key", "k1");
  expect(first).toMatchObject({ offset: 6, repeated: false });
  expect((await scene.log(room)).items.at(-1)).toMatchObject({ to: ["ann", "bob", "eve"] });
  const same = ["publish", room, "a secret", "--to", "ann,bob,eve", "--key", "k1"];
  expect((await scene.op(same)).out).toMatch(/^Was published before under this key: offset 6 of said/);
  const other = await scene.op(["publish", room, "something else", "--key", "k1"]);
  expect(other).toMatchObject({ code: 1, out: "" });
  expect(other.err).toContain("edgerooms: 422 This Idempotency-Key was used for something else.");
  expect((await scene.log(room)).offset).toBe(6);
  expect(await scene.op(["publish", room, "-"], { input: new Uint8Array([0xff]) })).toMatchObject({ code: 1 });
});

it("tail: what was said, then what is being said, through an outage, until Ctrl-C ends it with 0", async () => {
  const room = "tailed";
  for (const data of ["one", "two", "three"]) await scene.op(["publish", room, data]);
  const once = await scene.op(["tail", room, "--once"]);
  expect(once.out).toMatch(/^ {5}1 {2}[\d:]{8} {2}op {2}"one"\n {5}2 .*"two"\n {5}3 .*"three"\n$/);
  expect((await scene.op(["tail", room, "--once", "--after", "3"])).out).toBe("");
  const beyond = await scene.op(["tail", room, "--once", "--after", "9"]);
  expect(beyond).toMatchObject({ code: 0, err: "The log ends at offset 3, before 9: going on from there.\n" });

  const front = await scene.badWay();
  const { port } = new URL(front.url);
  const env = { EDGEROOMS_URL: front.url, EDGEROOMS_TOKEN: scene.admin };
  const tailing = new Running(["tail", room, "--after", "1", "--json"], { env });
  const seen = () =>
    tailing.out.split("\n").flatMap((line) => (line ? [(JSON.parse(line) as { data: Json }).data] : []));
  await eventually(() => expect(seen()).toEqual(["two", "three"]));
  await scene.op(["publish", room, "four"]);
  await eventually(() => expect(seen()).toEqual(["two", "three", "four"]));
  await front.close();
  await eventually(() => expect(tailing.err).toContain("The server is out of reach"));
  await scene.op(["publish", room, "five"]);
  await scene.badWay(Number(port));
  await eventually(() => expect(seen()).toEqual(["two", "three", "four", "five"]));
  tailing.process.kill("SIGINT");
  expect((await tailing.ended).code).toBe(0);
  expect(tailing.err).toBe("The server is out of reach: trying again until it is back.\nThe server is back.\n");
});

it("tail: says what was trimmed before it could be read, and pages through the rest", async () => {
  const [room, size, all] = ["trimmed", 60_000, 330];
  // The log keeps 16 MiB; one user alone may not say so much so fast.
  for (const user of ["a", "b", "c", "d"]) {
    const token = await scene.server.token(user);
    const body = JSON.stringify({ data: user.repeat(size) });
    for (let i = 0; i < Math.ceil(all / 4); i++) {
      const init = { method: "POST", body, headers: { authorization: `Bearer ${token}` } };
      const response = await fetch(`${scene.server.url}/rooms/${room}/publish`, init);
      expect(response.status).toBe(201);
      await response.text();
    }
  }
  const { oldest, offset } = await scene.log(room);
  expect(oldest).toBeGreaterThan(1);
  const { code, out, err } = await scene.op(["tail", room, "--after", "0", "--once", "--json"]);
  expect(code).toBe(0);
  expect(err).toBe(
    `Offsets 1 to ${oldest - 1} are not there any more: trimmed before being read. The log begins at ${oldest}.\n`,
  );
  const offsets = out
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { offset: number }).offset);
  expect(offsets).toEqual(Array.from({ length: offset - oldest + 1 }, (_, i) => oldest + i));
});

it("P: kick: ends one session or all of a user, and revokes the tokens they came with", async () => {
  const [ann, again, bob] = [
    await scene.enter("ring", "ann"),
    await scene.enter("ring", "ann"),
    await scene.enter("ring", "bob"),
  ];
  const one = await scene.op(["kick", "ring", "--session", ann.session]);
  expect(one).toEqual({ code: 0, err: "", out: "Ended 1 session in ring.\n" });
  expect(await ann.next("bye")).toMatchObject({ code: 4410 });
  expect(again.frames.map(({ type }) => type)).not.toContain("bye");
  expect(await scene.json("kick", "ring", "--user", "ann")).toEqual({ sessions: 1 });
  expect(await again.next("bye")).toMatchObject({ code: 4410 });
  // P: nobody was kicked, and that is no success.
  const nobody = await scene.op(["kick", "ring", "--user", "ann"]);
  expect(nobody).toEqual({ code: 1, err: "", out: "There was no session of ann in ring.\n" });
  const revoked = await scene.op(["kick", "ring", "--user", "bob", "--revoke"]);
  expect(revoked.out).toBe("Ended 1 session of bob in ring. Tokens issued until now are refused there.\n");
  expect(await bob.next("bye")).toMatchObject({ code: 4411 });
  const gone = await scene.op(["kick", "ring", "--session", ann.session]);
  expect(gone).toMatchObject({
    code: 1,
    err: expect.stringContaining("edgerooms: 404 The room has no such session") as string,
  });
  for (const [args, says] of [
    [[], "Give --user or --session."],
    [["--user", "a", "--session", "b"], "Give --user or --session."],
    [["--session", "b", "--revoke"], "--revoke needs --user"],
  ] as const) {
    expect(await scene.op(["kick", "ring", ...args])).toMatchObject({
      code: 2,
      err: expect.stringContaining(says) as string,
    });
  }
});

it("P: what is asked of a room that never was is an error that says so, whatever it is, and makes no room", async () => {
  for (const args of [
    ["members", "typo"],
    ["stats", "typo"],
    ["tail", "typo", "--once"],
    ["kick", "typo", "--user", "ann"],
    ["drain", "typo"],
    ["dead-letters", "typo"],
    ["redeliver", "typo"],
    ["drop", "typo", "--all"],
    ["skip", "typo", "batch"],
  ]) {
    const ended = await scene.op(args);
    expect(ended, args.join(" ")).toMatchObject({ code: 1, out: "" });
    expect(ended.err).toContain("nothing has ever happened in it.");
  }
  const log = await fetch(`${scene.server.url}/rooms/typo/log`, {
    headers: { authorization: `Bearer ${scene.admin}` },
  });
  expect(log.status).toBe(404);
  await log.body?.cancel();
});

it("T18: failures shows what failed, and why connections were ended, and can be asked for one room or code", async () => {
  // Of strangers' requests nothing is kept; this one is a member's, who may not.
  const member = await scene.server.token("ann");
  await scene.op(["members", "failing"], { env: { EDGEROOMS_TOKEN: member } });
  const shown = await scene.op(["failures", "--room", "room/failing"]);
  expect(shown).toMatchObject({ code: 0, err: "" });
  expect(shown.out).toMatch(/^WHEN +SEVERITY +CODE +SOURCE +ROOM +USER +MESSAGE +REQUEST$/m);
  expect(shown.out).toMatch(/ warn +forbidden +GET .* room\/failing +- /);
  expect(shown.out).toMatch(/\n1 failure\n$/);
  const none = await scene.op(["failures", "--code", "storage_failed"]);
  expect(none.out).toBe("Nothing failed, as far as the directory knows.\n");
  const json = await scene.json<{ failures: object[]; ends: object[] }>("failures", "--room", "failing");
  expect(json).toMatchObject({ failures: [{ code: "forbidden" }], ends: [] });
});

it("drain: one room, without the others", async () => {
  const [ann, bob] = [await scene.enter("pool", "ann"), await scene.enter("pool-2", "bob")];
  const ended = await scene.op(["drain", "pool", "--within", "1", "--reopen-after", "5"]);
  expect(ended.code).toBe(0);
  expect(ended.out).toMatch(/^Drained 1 of 1 room, 1 connection\.\nRooms take new connections again in [1-5] s\.\n$/);
  expect(ended.err).toMatch(/1\/1 rooms asked to drain\n.*1\/1 rooms empty\n$/);
  expect(await ann.next("bye")).toMatchObject({ code: 1012 });
  expect(bob.frames.map(({ type }) => type)).not.toContain("bye");
  const json = await scene.op(["drain", "room/pool-2", "--within", "0", "--reopen-after", "0", "--json"]);
  expect(JSON.parse(json.out)).toMatchObject({
    rooms: [{ name: "room/pool-2", connections: 1 }],
    failed: [],
    left: [],
  });
  const both = await scene.op(["drain", "pool", "--all"]);
  expect(both).toMatchObject({
    code: 1,
    err: expect.stringContaining("Name a room or say --all, not both.") as string,
  });
});
