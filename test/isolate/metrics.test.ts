/** `GET /metrics`: who may read it, that Prometheus can, and that every number is what happened. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { isolate } from "../../src/ops/isolate.ts";
import { prometheusText } from "../../src/ops/metrics.ts";
import { Client, sign } from "../support/client.ts";
import { ask, operator } from "../support/contract.ts";
import { door, expectProblem, ours, plain } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { METRICS_TOKEN, Reading, scrape, watched } from "../support/watching.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const get = (path: string, token?: string) =>
  new Request(`http://edge.test${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });

describe("who may read", () => {
  it("is who has the token of scrapers, or is admin of all rooms", async () => {
    for (const token of [METRICS_TOKEN, await operator()]) {
      const response = await watched(get("/metrics", token));
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
      expect(response.headers.get("cache-control")).toBe("no-store");
      await response.body?.cancel();
    }
  });

  it("is nobody else", async () => {
    const refused: [string | undefined, "unauthorized" | "forbidden"][] = [
      [undefined, "unauthorized"],
      ["", "unauthorized"],
      ["another", "unauthorized"],
      [`${METRICS_TOKEN}x`, "unauthorized"],
      [await sign("ann"), "forbidden"],
      [await sign("ann", { rooms: { "relay/*": ["admin"], "chat/*": ["admin"] } }), "forbidden"],
      [await sign("ann", { rooms: { "*": ["join", "publish"] } }), "forbidden"],
    ];
    for (const [token, code] of refused) {
      for (const path of ["/metrics", "/failures"]) await expectProblem(await watched(get(path, token)), code);
    }
    // What scrapers have is for numbers only.
    await expectProblem(await watched(get("/failures", METRICS_TOKEN)), "unauthorized");
  });

  it("is not everybody where the token of scrapers is empty or missing", async () => {
    for (const token of ["", undefined]) {
      const at = door({}, { METRICS_TOKEN: token });
      for (const given of [undefined, "", "undefined"]) {
        await expectProblem(await at(get("/metrics", given)), token === "" ? "misconfigured" : "unauthorized");
      }
    }
  });
});

/** Every line of the text format, as Prometheus reads it. */
function check(text: string): void {
  const types = new Map<string, string>();
  const helped = new Set<string>();
  const seen = new Set<string>();
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const [, what, name = "", rest = ""] = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line) ?? [];
    if (what === "HELP") {
      expect(helped.has(name), line).toBe(false);
      helped.add(name);
      continue;
    }
    if (what === "TYPE") {
      expect(types.has(name), line).toBe(false);
      types.set(name, rest);
      continue;
    }
    const sample = /^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?[0-9.e+-]+)$/.exec(line);
    expect(sample, line).not.toBeNull();
    const [, metric = "", labels = ""] = sample ?? [];
    const family = metric.replace(/_(?:bucket|sum|count)$/, "");
    const type = types.get(metric) ?? types.get(family);
    expect(type, line).toMatch(/^(?:counter|gauge|histogram)$/);
    if (type === "counter") expect(metric).toMatch(/_total$/);
    expect(seen.has(`${metric}{${labels}}`), line).toBe(false);
    seen.add(`${metric}{${labels}}`);
  }
  expect([...helped].toSorted()).toEqual([...types.keys()].toSorted());
}

describe("the text", () => {
  it("is what Prometheus reads, whatever happened", async () => {
    const room = new TestedRoom("chat");
    const { client } = await Client.join(room.path);
    await client.publish(1, "one");
    await client.close();
    check((await scrape()).text);
  });

  it("has labels with whatever may be in a name", () => {
    const counts = { publications: 1, "errors|internal": 2 };
    const kind = 'a"b\\c\nd';
    const text = prometheusText({ [kind]: { rooms: 1, connections: 0, members: 0, sessions: 0, counts } }, [
      { name: "jwks", state: "half_open" },
    ]);
    check(text);
    expect(text).toContain('edgerooms_publications_total{kind="a\\"b\\\\c\\nd"} 1\n');
    expect(text).toContain('edgerooms_breaker_state{upstream="jwks",state="half_open"} 1\n');
    expect(text).toContain('edgerooms_breaker_state{upstream="jwks",state="open"} 0\n');
  });

  it("has histograms that grow with their bounds", () => {
    const counts = { "tick_events|1": 3, "tick_events|50": 2, "tick_events|+Inf": 1, tick_events_sum: 700 };
    const reading = new Reading(
      prometheusText({ relay: { rooms: 0, connections: 0, members: 0, sessions: 0, counts } }, []),
    );
    const bucket = (le: string) => reading.of(`tick_events_bucket{kind="relay",le="${le}"}`);
    expect(["1", "2", "5", "10", "50", "100", "512", "+Inf"].map(bucket)).toEqual([3, 3, 3, 3, 5, 5, 5, 6]);
    expect(reading.of('tick_events_sum{kind="relay"}')).toBe(700);
    expect(reading.of('tick_events_count{kind="relay"}')).toBe(6);
    check(reading.text);
  });

  it("is what this isolate knows where there is no directory", async () => {
    const at = door({}, { METRICS_TOKEN, EDGEROOMS_DIRECTORY: undefined });
    const before = new Reading(await (await at(get("/metrics", METRICS_TOKEN))).text());
    await expectProblem(await at(get("/nothing")), "not_found");
    const after = new Reading(await (await at(get("/metrics", METRICS_TOKEN))).text());
    check(after.text);
    const series = 'errors_total{kind="",code="not_found"}';
    expect(after.of(series) - before.of(series)).toBe(1);
    expect(await (await at(get("/failures", await operator()))).json()).toEqual({ failures: [] });
  });
});

describe("what the Worker counts", () => {
  it("is requests by route, never by address, and upgrades by what came of them", async () => {
    const room = new TestedRoom();
    const before = await scrape();
    const { client } = await Client.join(room.path);
    await client.close();
    const stranger = await ours(watched, `/rooms/${room.path}`, { token: null });
    stranger.webSocket?.accept();
    await plain(watched, "/rooms/none/of/these");
    await watched(new Request("http://edge.test/healthz", { headers: { upgrade: "websocket" } }));
    await (await watched(new Request("http://edge.test/healthz", { method: "PROPFIND" }))).body?.cancel();
    await ask("POST", `/rooms/${room.path}/publish`, { body: { data: 1 } });
    const after = await scrape();
    const more = (series: string) => after.of(series) - before.of(series);
    expect({
      upgrades: more('http_requests_total{method="GET",route="/rooms/:kind/:room",status="101"}'),
      strangers: more('http_requests_total{method="GET",route="/rooms/*",status="404"}'),
      health: more('http_requests_total{method="GET",route="/healthz",status="200"}'),
      publishes: more('http_requests_total{method="POST",route="/rooms/:kind/:room/publish",status="201"}'),
      accepted: more('upgrades_total{result="accepted",code=""}'),
      refused: more('upgrades_total{result="refused",code="unauthorized"}'),
      elsewhere: more('upgrades_total{result="refused",code="not_found"}'),
    }).toEqual({ upgrades: 2, strangers: 1, health: 1, publishes: 1, accepted: 1, refused: 1, elsewhere: 1 });
    expect(after.text).toContain('method="other"');
    expect(after.text).not.toContain(room.name);
    expect(after.text).not.toContain("PROPFIND");
  });

  it("is never counted for a kind of room, also where a room's isolate counts for it", async () => {
    const room = new TestedRoom("small");
    const { client } = await Client.join(room.path);
    const before = await scrape();
    await expectProblem(await watched(get("/nothing")), "not_found");
    expect(isolate.counts["errors|not_found"]).toBe(1);
    // The room is the first to tell what this isolate has counted.
    await client.close();
    await eventually(() => expect(isolate.counts["errors|not_found"]).toBeUndefined());
    const after = await scrape();
    const more = (kind: string) => {
      const series = `errors_total{kind="${kind}",code="not_found"}`;
      return after.of(series) - before.of(series);
    };
    expect([more(""), more("small")]).toEqual([1, 0]);
  });
});

/** Everything that is counted by rooms of a kind. */
function totals(reading: Reading, kind: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const line of reading.text.split("\n")) {
    const [, name = "", labels = "", value] = /^edgerooms_([a-z_]+)\{(.*)\} (\S+)$/.exec(line) ?? [];
    if (value === undefined || !labels.startsWith(`kind="${kind}"`)) continue;
    if (!name.endsWith("_total") && !/^tick_events_(?:sum|count)$/.test(name)) continue;
    const rest = labels
      .slice(`kind="${kind}"`.length)
      .replaceAll(/,?[a-z]+="/g, "|")
      .replaceAll('"', "");
    found[name.replace(/_total$/, "") + rest] = Number(value);
  }
  return found;
}

function difference(after: Record<string, number>, before: Record<string, number>): Record<string, number> {
  const more = Object.entries(after).map(([series, n]) => [series, n - (before[series] ?? 0)] as const);
  return Object.fromEntries(more.filter(([, n]) => n !== 0));
}

/** A little story in one room; `between` happens after every part of it. Resolves with every client of it. */
async function story(room: TestedRoom, between: () => Promise<unknown>): Promise<Client[]> {
  room.stopClock();
  const { client: ann } = await Client.join(room.path, { user: "ann" });
  await between();
  const { client: bob, welcome } = await Client.join(room.path, { user: "bob" });
  await ann.next("presence");
  await between();
  for (let ref = 1; ref <= 3; ref++) {
    await ann.publish(ref, ref);
    await bob.next("pub");
    await between();
  }
  await ann.publish(2, 2);
  await between();
  ann.send({ type: "signal", data: "hello" });
  await bob.next("signal");
  await between();
  await ask("POST", `/rooms/${room.path}/publish`, { body: { data: "api" } });
  await Promise.all([ann.until(() => ann.items.length === 4), bob.until(() => bob.items.length === 4)]);
  await between();
  bob.send({ type: "call", ref: 1, method: "none", data: null });
  await bob.next("reply");
  await between();
  await bob.close();
  await room.dropped(welcome.session);
  await between();
  const position = { session: welcome.session, epoch: welcome.epoch, offset: 1 };
  const { client: back } = await Client.join(room.path, { user: "bob", ...position });
  await back.next("pub");
  await between();
  const { client: other } = await Client.join(room.path, { user: "bob", ...position, epoch: "another" });
  await other.next("snapshot");
  await back.next("bye");
  await between();
  await room.pass(31_000);
  await Promise.all([ann.next("heartbeat"), other.next("heartbeat")]);
  await between();
  other.send({ type: "leave" });
  await other.next("bye");
  await ann.until(() => ann.of("presence").some((frame) => frame.leave));
  await between();
  ann.send({ type: "leave" });
  await ann.next("bye");
  return [ann, bob, back, other];
}

/** What must have been counted of it. */
const STORY = {
  publications: 4,
  // Each to both.
  deliveries: 8,
  signals: 1,
  connects: 4,
  "closes|done": 2,
  "closes|replaced": 1,
  "resumes|resumed|": 1,
  "resumes|reset|epoch_changed": 1,
  dedupe_hits: 1,
  alarms: 1,
  "errors|unknown_method": 1,
};

async function counted(kind: "small" | "fast", happens: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = totals(await scrape(), kind);
  const rooms = (await scrape()).of(`rooms{kind="${kind}"}`);
  await happens();
  // Reports are not waited for: the last word is when the room is not live any more.
  let last: Reading | undefined;
  await eventually(async () => {
    last = await scrape();
    expect(last.of(`rooms{kind="${kind}"}`)).toBe(rooms);
    expect(difference(totals(last, kind), before)["closes|done"]).toBeGreaterThan(0);
  });
  return difference(totals(last as Reading, kind), before);
}

describe("what rooms count", () => {
  it("is what happened, to the last", async () => {
    const room = new TestedRoom("small");
    let clients: Client[] = [];
    let rows = 0;
    const { ...found } = await counted("small", async () => {
      clients = await story(room, () => Promise.resolve());
      rows = await room.rowsWritten();
    });
    const messages = clients.flatMap((client) => client.messages).filter((text) => text !== "pong").length;
    const ticks = found["tick_events_count"];
    expect(found).toEqual({
      ...STORY,
      wakeups: 1,
      messages_sent: messages,
      rows_written: rows,
      tick_events_count: ticks,
      tick_events_sum: expect.any(Number),
    });
    expect(ticks).toBeGreaterThan(10);
  });

  it("is the same with the room out of memory after everything that happens", async () => {
    const room = new TestedRoom("fast");
    let clients: Client[] = [];
    let evictions = 0;
    const found = await counted("fast", async () => {
      clients = await story(room, async () => {
        if (await room.wasAwake()) evictions++;
      });
    });
    const messages = clients.flatMap((client) => client.messages).filter((text) => text !== "pong").length;
    expect(found).toMatchObject({ ...STORY, messages_sent: messages });
    expect(evictions).toBeGreaterThan(12);
    // A look from outside wakes it too, and one that finds nothing to do is told of by nobody.
    expect(found["wakeups"]).toBeGreaterThanOrEqual(evictions - 1);
    expect(found["rows_written"]).toBeGreaterThan(8);
    expect(found["rows_written"]).toBeLessThan(60);
  });

  it("is heartbeats that were missed, each", async () => {
    const room = new TestedRoom("heartbeat");
    const before = totals(await scrape(), "heartbeat");
    const { client } = await Client.join(room.path);
    client.silent = true;
    await client.next("bye");
    await eventually(async () =>
      expect(difference(totals(await scrape(), "heartbeat"), before)).toMatchObject({
        heartbeats_missed: 3,
        alarms: client.of("heartbeat").length + 1,
        "closes|heartbeat_lost": 1,
      }),
    );
  });

  it("is told by a room that nobody is in", async () => {
    const room = new TestedRoom("small");
    const before = totals(await scrape(), "small");
    await ask("POST", `/rooms/${room.path}/publish`, { body: { data: 1 } });
    await eventually(async () =>
      expect(difference(totals(await scrape(), "small"), before)).toMatchObject({ publications: 1, wakeups: 1 }),
    );
  });
});

describe("how many there are", () => {
  it("is of every kind of its own, and goes down to nothing", async () => {
    const gauges = async () => {
      const reading = await scrape();
      const of = (kind: string) =>
        ["rooms", "connections", "members", "sessions"].map((name) => reading.of(`${name}{kind="${kind}"}`));
      return { small: of("small"), fast: of("fast") };
    };
    const less = (a: number[] | undefined, b: number[] | undefined) => a?.map((n, i) => n - (b?.[i] ?? 0));
    const before = await gauges();
    const expectMore = (more: Record<string, number[]>) =>
      eventually(async () => {
        const now = await gauges();
        expect({ small: less(now.small, before.small), fast: less(now.fast, before.fast) }).toEqual(more);
      });
    const [one, two] = [new TestedRoom("small"), new TestedRoom("fast")];
    const { client: ann } = await Client.join(one.path, { user: "ann" });
    const { client: bob } = await Client.join(two.path, { user: "bob" });
    await expectMore({ small: [1, 1, 1, 1], fast: [1, 1, 1, 1] });
    await ann.close();
    await expectMore({ small: [0, 0, 0, 0], fast: [1, 1, 1, 1] });
    await bob.close();
    await expectMore({ small: [0, 0, 0, 0], fast: [0, 0, 0, 0] });
  });
});
