/** The command `edgerooms` where something is wrong: the command line, the network, the server, or what others say. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { decodeJwt } from "jose";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Json } from "../../src/protocol/frames.ts";
import { root, run, Scene, type Ended } from "./cli-run.ts";

const scene = new Scene();
beforeAll(() => scene.start());
afterEach(() => scene.clear());
afterAll(() => scene.server.stop());

/** Nothing that acts on a terminal. */
function expectHarmless({ out, err }: Ended): void {
  expect(out + err).not.toMatch(/[^\n\P{Cc}]|[\u202a-\u202e\u2066-\u2069]/u);
}

it("token: takes secret, issuer and audience from one place, and says what is wrong", async () => {
  const secret = "a secret of thirty-two bytes at least";
  const env = { AUTH_SECRET: secret, AUTH_ISSUER: "https://i.example", AUTH_AUDIENCE: "us" };
  const signed = await run(["token", "ann"], { env });
  expect(decodeJwt(signed.out)).toMatchObject({ iss: "https://i.example", aud: "us" });
  for (const [args, how, code, says] of [
    [["ann"], { cwd: tmpdir() }, 1, "There is no AUTH_SECRET"],
    [["ann"], { env: { AUTH_SECRET: "short" } }, 1, "shorter than 32 bytes"],
    [["ann"], { env: { ...env, AUTH_JWKS_URL: "https://i.example/keys" } }, 1, "AUTH_JWKS_URL"],
    [["a\u001b[31mnn"], { env }, 2, "SUB is 1 to 255 printable characters."],
    [["ann", "--rooms", "all"], { env }, 2, "--rooms is JSON such as"],
    [["ann", "--rooms", '{"*":["fly"]}'], { env }, 2, "Grants are join, publish, signal, call, admin."],
    [["ann", "--rooms", "{}", "--admin"], { env }, 2, "not both"],
    [["ann", "--ttl", "soon"], { env }, 2, "--ttl is a time"],
    [[], { env }, 2, "token needs SUB."],
  ] as const) {
    const ended = await run(["token", ...args], how);
    expect(ended.err).toContain(says);
    expect(ended).toMatchObject({ code, out: "" });
    expect(ended.err).not.toContain(secret);
  }
});

it("a publish whose answer was lost is sent again, and is one publication", async () => {
  const lossy = await scene.badWay();
  lossy.mishaps.push("lost", "lost");
  const ended = await scene.op(["publish", "lossy", "once", "--url", lossy.url]);
  expect(ended).toMatchObject({ code: 0, err: "", out: expect.stringMatching(/^Published: offset 1 /) as string });
  expect(lossy.requests).toBe(3);
  expect((await scene.log("lossy")).items.map(({ data }) => data)).toEqual(["once"]);
});

it("what can be sent again is, three times at most and when the server says; what cannot is not", async () => {
  await scene.op(["publish", "x", "here"]);
  const bad = await scene.badWay();
  const busy = { status: 503, headers: { "retry-after": "1" } };
  bad.mishaps.push(busy, { status: 502 });
  const began = Date.now();
  expect(await scene.op(["members", "x", "--url", bad.url])).toMatchObject({ code: 0 });
  expect(Date.now() - began).toBeGreaterThan(1_000);
  expect(bad.requests).toBe(3);
  for (const [args, mishaps, requests] of [
    [["members", "x"], ["lost", "lost", "lost", "lost"], 3],
    [["members", "x"], [{ status: 503, headers: { "retry-after": "3600" } }], 1],
    [["members", "x"], [{ status: 500 }], 1],
    [["kick", "x", "--user", "ann"], ["lost"], 1],
  ] as const) {
    const fresh = await scene.badWay();
    fresh.mishaps.push(...mishaps);
    expect(await scene.op([...args, "--url", fresh.url]), args[0]).toMatchObject({ code: 1, out: "" });
    expect(fresh.requests).toBe(requests);
  }
});

it("nothing that anybody says acts on the terminal of a reader", async () => {
  const nasty = "\u001b]0;owned\u0007\u001b[2J\u009b31m\u202eturned\u2066\u007f\r\n\u2028end";
  const ann = await scene.enter("hostile", "ann");
  ann.send({ type: "presence", data: { [nasty]: nasty } }, { type: "publish", ref: 1, data: nasty });
  await ann.next("ack");
  for (const args of [
    ["members", "hostile"],
    ["tail", "hostile", "--once"],
  ]) {
    for (const more of [[], ["--json"]]) {
      const ended = await scene.op([...args, ...more]);
      expectHarmless(ended);
      expect(ended.out).toContain("\\u001b[2J\\u009b31m\\u202eturned\\u2066\\u007f");
    }
  }
  const tailed = await scene.op(["tail", "hostile", "--once", "--json"]);
  expect((JSON.parse(tailed.out) as { data: Json }).data).toBe(nasty);

  const evil = await scene.badWay();
  const body = JSON.stringify({ title: nasty, detail: nasty, requestId: nasty });
  evil.mishaps.push(
    { status: 403, body },
    { status: 302, headers: { location: "/\u009b31m" } },
    { status: 200, body: "[]" },
  );
  for (const says of ["403 \\u001b]0;owned", "302 Found It has moved to", "not as this version of edgerooms does"]) {
    const ended = await scene.op(["rooms", "--url", evil.url]);
    expectHarmless(ended);
    expect(ended.err).toContain(says);
    expect(ended.code).toBe(1);
  }
  expectHarmless(await scene.op([nasty]));
  expectHarmless(await scene.op(["rooms", `--${nasty}`]));
});

it("P: ends with 2 when the command line makes no sense, with 1 when the request failed, and says why in a line", async () => {
  const member = await scene.server.token("ann");
  for (const [args, code, says] of [
    [[], 2, "Usage: edgerooms COMMAND"],
    [["fly"], 2, 'there is no command "fly"'],
    [["--json", "rooms"], 2, 'there is no command "--json"'],
    [["rooms", "--colour"], 2, "Unknown option '--colour'"],
    [["rooms", "all"], 2, "rooms takes no arguments"],
    [["members"], 2, "members needs ROOM."],
    [["members", "a/b/c"], 2, "A room is kind/room or room"],
    [["members", ".."], 2, "A room is kind/room or room"],
    [["tail", "x", "--after", "-1"], 2, "--after"],
    [["tail", "x", "--after=x"], 2, "--after is a number from 0"],
    [["publish", "x", "y", "--key", "a b"], 2, "--key is 1 to 255 visible ASCII characters."],
    [["rooms", "--url", "rooms.example.com"], 2, "The URL of the server is invalid"],
    [["rooms", "--url", "https://ann:pw@rooms.example.com"], 2, "nothing else"],
    [["rooms", "--token", ""], 2, "--token is empty."],
    [["rooms", "--url", ""], 2, "The URL of the server is invalid"],
    [["redeliver"], 2, "Name a room or say --all."],
    [["redeliver", "x", "--all"], 2, "Name a room or say --all."],
    [["drop", "x"], 2, "Name a batch or say --all."],
    [["skip", "x"], 2, "skip needs ROOM BATCH."],
    [["rooms", "--token", "not\na token"], 1, "The token is invalid"],
    [["rooms", "--token", "x.y.z"], 1, "edgerooms: 401 A valid token is needed."],
    [["members", "nokind/x"], 1, "edgerooms: 404 There is nothing at this address. There is no such kind. "],
    [["publish", "x", "x".repeat(100_000)], 1, "edgerooms: 413"],
    [["rooms", "--url", "http://127.0.0.1:1"], 1, "fetch failed"],
  ] as const) {
    const ended = await scene.op(args, { env: { EDGEROOMS_TOKEN: member } });
    expect(ended.err).toContain(says);
    expect(ended, args.join(" ")).toMatchObject({ code, out: "" });
    expect(ended.err).not.toMatch(/eyJ|a token|ann:pw/);
    if (code === 1) expect(ended.err.split("\n").length).toBe(2);
  }
  expect((await run(["rooms"])).err).toContain("There is no token.");
});

it("explains itself: every command has its help, with every option in it", async () => {
  const { out, code } = await run(["--help"]);
  expect(code).toBe(0);
  const commands = [...out.matchAll(/^ {2}([a-z-]+) /gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "edgerooms");
  expect(commands).toEqual([
    "token",
    "rooms",
    "members",
    "publish",
    "tail",
    "kick",
    "drain",
    "stats",
    "failures",
    "dead-letters",
    "redeliver",
    "skip",
    "drop",
  ]);
  for (const command of commands) {
    const help = await run([command, "--help"]);
    expect(help).toMatchObject({ code: 0, err: "" });
    expect(help.out).toContain(`Usage: edgerooms ${command}`);
    expect(await run(["help", command])).toEqual(help);
  }
  expect((await run(["--version"])).out).toMatch(/^edgerooms \d+\.\d+\.\d+\n$/);
});

it("npx edgerooms: the packed package brings the command, which runs on the Node that the machine has", async () => {
  const folder = mkdtempSync(join(tmpdir(), "edgerooms-packed-"));
  try {
    const packed = spawnSync("npm", ["pack", "--silent", "--pack-destination", folder], {
      cwd: root,
      encoding: "utf8",
    });
    expect(packed.status, packed.stderr).toBe(0);
    const modules = join(folder, "node_modules");
    mkdirSync(join(modules, ".bin"), { recursive: true });
    const [tarball = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
    expect(spawnSync("tar", ["xzf", join(folder, tarball), "-C", modules]).status).toBe(0);
    // What npm install would put there, if a test could ask a registry.
    symlinkSync("package", join(modules, "edgerooms"));
    symlinkSync("../edgerooms/dist/cli/main.js", join(modules, ".bin/edgerooms"));
    const path = (process.env["PATH"] ?? "").split(delimiter).filter((part) => !part.includes("node_modules"));
    const how = { cwd: folder, command: ["npx", "--no-install", "edgerooms"] as const };
    const env = { PATH: path.join(delimiter), AUTH_SECRET: "a secret of thirty-two bytes at least" };
    const { out, code } = await run(["token", "ann"], { ...how, env, command: [...how.command] });
    expect(code).toBe(0);
    expect(decodeJwt(out)).toMatchObject({ sub: "ann" });
    const rooms = await scene.op(["rooms", "--kind", "none"], { ...how, env, command: [...how.command] });
    expect(rooms).toMatchObject({ code: 0, out: "No room of kind none is live.\n" });
    expect((await scene.op(["nonsense"], { ...how, env, command: [...how.command] })).code).toBe(2);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
