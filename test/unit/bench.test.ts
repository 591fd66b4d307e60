/** The bench measures what users pay: its clients acknowledge as the SDK does, and a missed budget fails a run. */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { dirname, join, relative } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WebSocketServer, type WebSocket } from "ws";
import { judge } from "../../bench/budgets.ts";
import { Credit } from "../../bench/load/credit.ts";
import { dialects } from "../../bench/load/dialects.ts";
import { Member } from "../../bench/load/member.ts";
import type { Results } from "../../bench/sample.ts";
import { eventually } from "../support/patience.ts";
import { Position } from "../../src/client/session/position.ts";

describe("credit", () => {
  it("acknowledges when the SDK does, message by message", () => {
    const messages = fc.array(
      fc.record({
        items: fc.oneof(fc.constantFrom(0, 1, 64, 639, 640), fc.integer({ min: 0, max: 900 })),
        length: fc.oneof(fc.constantFrom(1, 131_072, 262_143), fc.integer({ min: 1, max: 160_000 })),
        isHeartbeatAhead: fc.boolean(),
        isAsked: fc.boolean(),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5_000 }), messages, (start, all) => {
        const position = new Position(new Map<string, string>(), "room");
        position.begin("session", "epoch", false);
        position.moveTo(start, true);
        const credit = new Credit();
        credit.begin(start);
        let offset = start;
        let acked = start;
        for (const { items, length, isHeartbeatAhead, isAsked } of all) {
          offset += items;
          // With nothing to acknowledge the SDK asks for what is missing. In the bench nothing may be.
          const heartbeat = isHeartbeatAhead && offset > acked ? offset + 1 : offset;
          const expected: string[] = [];
          position.moveTo(offset);
          position.read(
            { isGap: false, heartbeat, isAsked, bytes: length },
            (frame: string) => expected.push(frame) > 0,
          );
          const ack = credit.read(offset, isAsked || heartbeat > offset, length);
          expect(ack === undefined ? [] : [ack]).toEqual(expected);
          if (ack !== undefined) acked = offset;
        }
      }),
      { seed: 20_261_127 },
    );
  });

  it.each([
    [
      "edgerooms",
      "/rooms/one?credit=1",
      ['{"type":"ack","offset":647}', "ping", '{"type":"ack","offset":648}', "ping", '{"type":"ack","offset":649}'],
    ],
    ["edgerooms-without-credit", "/rooms/one", ["ping", "ping"]],
  ] as const)("a client of %s connects to %s and answers with %j", async (dialect, path, answers) => {
    const { member, url, room, heard, stop } = await connected(dialect);
    const pub = (from: number, upto: number) => `{"type":"pub","from":${from},"upto":${upto},"items":[]}`;
    try {
      expect(url).toBe(path);
      room.send(pub(8, 646));
      room.send(`[${pub(647, 647)},{"type":"heartbeat","offset":647,"next":30000}]`);
      room.send(`[{"type":"heartbeat","offset":649,"next":30000},${pub(648, 648)}]`);
      room.send(`[${pub(649, 649)},{"type":"heartbeat","offset":649,"next":30000,"ack":true}]`);
      await eventually(() => expect(heard.filter((text) => text === "ping").length).toBe(3));
      await eventually(() => expect(heard.toSorted()).toEqual([...answers, "ping"].toSorted()));
      expect(member.received).toBe(642);
      expect(member.failure).toBeUndefined();
    } finally {
      await stop();
    }
  });

  it("a heartbeat ahead of a client that has acknowledged everything voids the run", async () => {
    const { member, room, stop } = await connected("edgerooms");
    try {
      room.send('{"type":"heartbeat","offset":8,"next":30000}');
      await eventually(() => expect(member.failure).toBe("u1: the room is at 8, this client at 7"));
    } finally {
      await stop();
    }
  });
});

/** A client of the bench in a room that is at offset 7. */
async function connected(dialect: "edgerooms" | "edgerooms-without-credit") {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "edgerooms.v1" });
  await once(server, "listening");
  const heard: string[] = [];
  const joined = once(server, "connection") as Promise<[WebSocket, { url: string }]>;
  const member = new Member(dialects[dialect], "one", "u1");
  const entered = member.connect((server.address() as AddressInfo).port, "/rooms/{room}");
  const [room, { url }] = await joined;
  room.on("message", (data: Buffer) => heard.push(data.toString()));
  room.send('{"type":"welcome","session":"s","member":"u1","epoch":"e","offset":7,"resumed":false}');
  await entered;
  const stop = async () => {
    member.drop();
    server.close();
    await once(server, "close");
  };
  return { member, url, room, heard, stop };
}

describe("budgets", () => {
  const run = (ours: readonly number[], without: readonly number[]): Results => {
    const ids = ["lone-100", "lone-1000", "saturated-1-100", "saturated-1-1000"];
    const samples = (costs: readonly number[]) => costs.map((cost) => ({ cost }));
    const scenario = { title: "", key: "cost", base: "ours-without-credit", columns: [] };
    return {
      circumstances: {} as Results["circumstances"],
      rounds: 3,
      skipped: [],
      scenarios: ids.map((id) => ({
        ...scenario,
        id,
        samples: { ours: samples(ours), "ours-without-credit": samples(without) },
      })),
      facts: {},
    };
  };
  const verdicts = (results: Results) => judge(results, "credit").map(({ failed }) => failed);

  it("credit may cost 1.15 times as much", () => {
    expect(verdicts(run([1.14, 1.1, 1.15], [1, 1, 1]))).toEqual([false, false, false, false]);
  });

  it("credit that costs more in every round is a missed budget", () => {
    expect(verdicts(run([1.2, 2, 1.3], [1, 1, 1]))).toEqual([true, true, true, true]);
  });

  it("credit that costs more by less than the spread is not a missed budget", () => {
    expect(verdicts(run([1.1, 1.2, 1.3], [1, 1, 1]))).toEqual([false, false, false, false]);
  });

  it("a budget that was not measured is missed, unless the run left out scenarios", () => {
    const nothing = { ...run([], []), scenarios: [] };
    expect(verdicts(nothing)).toEqual([true, true, true, true]);
    expect(judge(nothing, "credit", true)).toEqual([]);
  });
});

describe("the house of the bench", () => {
  it("has no import circles, types included", () => {
    const root = join(import.meta.dirname, "../../bench");
    const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter(
      (path) => path.endsWith(".ts") && !path.includes("node_modules"),
    );
    expect(files).toContain("main.ts");
    const imports = new Map(
      files.map((file) => {
        const names = readFileSync(join(root, file), "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g);
        return [file, [...names].map(([, name = ""]) => relative(".", join(dirname(file), name)))] as const;
      }),
    );
    expect(imports.get("bench.ts")).toContain("run.ts");
    const circles: string[] = [];
    const done = new Set<string>();
    const visit = (file: string, path: readonly string[]) => {
      if (path.includes(file)) return void circles.push([...path.slice(path.indexOf(file)), file].join(" > "));
      if (done.has(file)) return;
      for (const name of imports.get(file) ?? []) visit(name, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });
});
