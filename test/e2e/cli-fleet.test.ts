/** The command `edgerooms` where there are many rooms, and some of them are not as they should be: what it says is true. */
import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import { freePort } from "../support/port.ts";
import { run, type Ended } from "./cli-run.ts";
import { StandIn, type StandInRoom } from "./stand-in.ts";

const open: StandIn[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function standIn(rooms: readonly StandInRoom[]): Promise<StandIn> {
  const server = await new StandIn(rooms).open();
  open.push(server);
  return server;
}

const op = (server: { readonly url: string }, ...args: string[]): Promise<Ended> =>
  run(args, { env: { EDGEROOMS_URL: server.url, EDGEROOMS_TOKEN: "x.y.z" } });
const many = (n: number): StandInRoom[] => Array.from({ length: n }, (_, i) => ({ name: `r${i}` }));

it("E7: drain --all keeps rooms closed until the last is empty, or ends with 1 and counts those that have reopened", async () => {
  const server = await standIn(many(80));
  server.latencyOf = () => 100;
  // The last of 80 is asked when four times 16 others have answered: the first would be open again by then.
  const kept = await op(server, "drain", "--all", "--within", "0", "--reopen-after", "0.2");
  expect(kept).toMatchObject({ code: 0 });
  expect(kept.out).toContain("Drained 80 of 80 rooms, 160 connections.\n");
  expect(kept.err).toContain("80/80 rooms asked to drain");

  // Nothing at the beginning says that it will take so long.
  const slower = await standIn(many(80));
  slower.latencyOf = (asked) => (asked > 40 ? 1_500 : 0);
  const args = ["drain", "--all", "--within", "0", "--reopen-after", "0.1"];
  const ended = await op(slower, ...args);
  expect(ended.code).toBe(1);
  const [, reopened] =
    /^Reopened since: (\d+) rooms, .*--reopen-after \d+ would be long enough\.$/m.exec(ended.err) ?? [];
  expect(Number(reopened)).toBeGreaterThanOrEqual(40);
  expect(ended.out).toContain(`Drained ${80 - Number(reopened)} of 80 rooms, 160 connections.\n`);

  const again = await standIn(many(80));
  again.latencyOf = slower.latencyOf;
  const json = await op(again, ...args, "--json");
  expect(json.code).toBe(1);
  expect((JSON.parse(json.out) as { reopened: string[] }).reopened.length).toBeGreaterThanOrEqual(40);
});

it("E7: drain --all ends with 0 when every room is empty and still closed, or was to reopen at once", async () => {
  const server = await standIn(many(40));
  const closed = await op(server, "drain", "--all", "--within", "0", "--reopen-after", "3600");
  expect(closed).toMatchObject({ code: 0 });
  expect(closed.out).toMatch(
    /^Drained 40 of 40 rooms, 80 connections\.\nRooms take new connections again in 3\d{3} s\.\n$/,
  );
  const atOnce = await op(await standIn(many(40)), "drain", "--all", "--within", "0", "--reopen-after", "0");
  expect(atOnce).toMatchObject({ code: 0, out: "Drained 40 of 40 rooms, 80 connections.\n" });
});

it("E7: drain --all says which rooms could not be asked and which never were, and ends with 1", async () => {
  const server = await standIn([...many(3), { name: "broken", mood: "broken" }, { name: "ghost", mood: "absent" }]);
  const ended = await op(server, "drain", "--all", "--within", "0", "--reopen-after", "3600");
  expect(ended.code).toBe(1);
  expect(ended.err).toContain("Not asked: chat/broken: 500 Failed.");
  expect(ended.err).toContain("Never was: chat/ghost: nothing has ever happened in it.");
  expect(ended.out).toContain("Drained 3 of 5 rooms, 6 connections.");
});

it("E9: a request that is refused as one too many is made again, also one that is made once otherwise", async () => {
  const server = await standIn(many(30));
  server.refuse(100);
  const ended = await op(server, "drain", "--all", "--within", "0", "--reopen-after", "3600");
  expect(ended).toMatchObject({ code: 0 });
  expect(ended.out).toContain("Drained 30 of 30 rooms");
  server.refuse(1_000);
  expect(await op(server, "kick", "r1", "--user", "ann")).toMatchObject({ code: 1 });
});

it("E7: drain of a room that never was is an error in one line, and nothing is said to be drained", async () => {
  const ended = await op(await standIn(many(1)), "drain", "TYPO");
  expect(ended).toMatchObject({ code: 1, out: "" });
  expect(ended.err.trim().split("\n").at(-1)).toBe(
    "edgerooms: There is no room TYPO: nothing has ever happened in it.",
  );
});

it("E8: a list that is not complete is shown, said, and ends with 1", async () => {
  const server = await standIn([...many(2), { name: "left", dead: 3 }]);
  server.isIncomplete = true;
  for (const args of [["rooms"], ["rooms", "--json"], ["rooms", "--dead"], ["stats"], ["redeliver", "--all"]]) {
    const ended = await op(server, ...args);
    expect(ended.code, args.join(" ")).toBe(1);
    expect(ended.err).toContain("Incomplete: 1 part of the directory (7) did not answer in time.");
    expect(ended.out).not.toBe("");
  }
  const drained = await op(server, "drain", "--all", "--within", "0", "--reopen-after", "3600");
  expect(drained).toMatchObject({ code: 1 });
  expect(drained.err).toContain("Incomplete");
});

it("E6: redeliver --all asks every room that has dead letters, shows how far it is, and counts", async () => {
  const rooms = [...many(5), ...Array.from({ length: 40 }, (_, i) => ({ name: `d${i}`, dead: 2 }))];
  const server = await standIn(rooms);
  const ended = await op(server, "redeliver", "--all");
  expect(ended.code).toBe(0);
  expect(ended.err).toMatch(/40\/40 rooms asked to redeliver\n$/);
  expect(ended.out).toBe("80 dead letters of 40 rooms of 40 will be tried again.\n");
  expect(server.asked.toSorted()).toEqual(
    rooms
      .slice(5)
      .map(({ name }) => `redeliver ${name}`)
      .toSorted(),
  );

  const troubled = await standIn([
    { name: "a", dead: 1 },
    { name: "b", dead: 1, mood: "broken" },
  ]);
  const partly = await op(troubled, "redeliver", "--all");
  expect(partly.code).toBe(1);
  expect(partly.err).toContain("Not asked: chat/b: 500 Failed.");
  expect(partly.out).toBe("1 dead letter of 1 room of 2 will be tried again.\n");
  expect(await op(await standIn(many(2)), "redeliver", "--all")).toMatchObject({
    code: 0,
    out: "No room has dead letters.\n",
  });
});

it("P: a server that takes connections and never answers is an error after one wait, not after three", async () => {
  let requests = 0;
  const silent = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => (requests += String(chunk).split("GET /rooms").length - 1));
  });
  const port = await freePort();
  await once(silent.listen(port, "127.0.0.1"), "listening");
  try {
    const ended = await op({ url: `http://127.0.0.1:${port}` }, "rooms");
    expect(ended).toEqual({ code: 1, out: "", err: `edgerooms: http://127.0.0.1:${port}: no answer within 10 s\n` });
    expect(requests).toBe(1);
  } finally {
    silent.close();
  }
});
