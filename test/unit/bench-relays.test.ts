/** The bench of relays: what leaves a room does not grow with the members of a region, and a missed budget is seen. */
import { describe, expect, it } from "vitest";
import { bills } from "../../bench/relays/bill.ts";
import { countRegion, STREAM } from "../../bench/relays/bytes.ts";
import { judgeRelays, type RelayResults } from "../../bench/relays/results.ts";
import type { Use } from "../../bench/cost/meter.ts";

describe("bytes that leave a room", () => {
  it("for a region at a relay are as many for ten members as for forty", async () => {
    const [ten, forty] = [await countRegion(10), await countRegion(40)];
    expect(forty.direct.stream).toBeGreaterThan(3.9 * ten.direct.stream);
    // Every publication leaves once. A number may have a digit more.
    expect(forty.relayed.stream / ten.relayed.stream).toBeLessThan(1.02);
    expect(ten.relayed.stream).toBeGreaterThan(STREAM.publications * STREAM.bytes);
    // The origin asked for 60 % less.
    expect(ten.relayed.stream / ten.direct.stream).toBeLessThan(0.4);
  });
});

const use = (some: Partial<Use> = {}): Use => ({
  requests: 0,
  messages: 0,
  alarms: 0,
  rowsRead: 0,
  rowsWritten: 0,
  active: 0,
  built: 0,
  ...some,
});

describe("the bill of an audience", () => {
  const units = {
    join: use({ requests: 1 }),
    open: use({ rowsWritten: 33 }),
    once: use(),
    perObject: use({ requests: 1 }),
    perSocket: use({ active: 1 }),
  };
  const none = { ...units, join: use(), open: use(), perObject: use(), perSocket: use() };
  const leaves = {
    leave: use({ rowsWritten: 2 }),
    leaveTogether: use(),
    heartbeatOfRoom: use(),
    heartbeatOfRelay: use(),
  };

  it("has a join of each viewer, a request of each object and publication, and time of each delivery", () => {
    const mesh = bills({ ours: { ...none, ...leaves }, mesh: units, stored: none }).find(({ title }) =>
      title.startsWith("mesh"),
    );
    expect(mesh?.objects).toBe(20);
    expect(mesh?.bill.requests).toBe(100_000 + 3_600 * 20);
    expect(mesh?.bill.rowsWritten).toBe(20 * 33);
    expect(mesh?.bill.seconds).toBe(3_600 * 100);
  });

  it("has the acks of our clients, and rows of those who leave", () => {
    const [ours] = bills({ ours: { ...none, ...leaves }, mesh: none, stored: none });
    expect(ours?.objects).toBe(25);
    expect(ours?.bill.requests).toBe((100_000 * 3_600) / 640 / 20);
    expect(ours?.bill.rowsWritten).toBe(200_000);
    // 25 relays and the room, for an hour.
    expect(ours?.awake).toBeCloseTo((ours?.bill.dollars ?? NaN) + (26 * 3_600 * 0.128 * 12.5) / 1e6, 9);
  });
});

describe("budgets of relays", () => {
  const cost = (relays: number, members: number, ...cpus: number[]) => ({
    relays,
    members,
    rounds: cpus.map((cpu) => ({ cpu, pushes: relays, sends: 1 })),
  });
  const rows = (joins: number) => ({ joins: use({ rowsWritten: joins }), publications: use({ rowsWritten: 60 }) });
  const good: Omit<RelayResults, "circumstances" | "crowd"> = {
    own: [cost(1, 1_000, 1, 1.1), cost(5, 1_000, 1.1, 1.1), cost(20, 1_000, 1.4, 1.5), cost(5, 100, 1, 1.1)],
    regions: [{ members: 100, direct: { joins: 1, stream: 100 }, relayed: { joins: 2, stream: 10 } }],
    rows: { alone: rows(137), small: rows(137) },
    small: { alone: [{ lone: 40, saturated: 1 }], small: [{ lone: 41, saturated: 1.05 }] },
  };
  const missed = (changed: Partial<RelayResults>) =>
    judgeRelays({ ...good, ...changed } as RelayResults)
      .filter(({ failed }) => failed)
      .map(({ what }) => what);

  it("are kept by a room whose cost grows with relays alone", () => {
    expect(missed({})).toEqual([]);
  });

  it("are missed by a room whose cost grows with members", () => {
    const own = good.own.map((each) => (each.members === 100 ? cost(5, 100, 0.2, 0.2) : each));
    expect(missed({ own })).toEqual(["the room's own CPU, 5 relays, ten times the members"]);
  });

  it("are missed by relays that cost as much as the room", () => {
    const own = good.own.map((each) => (each.relays === 20 ? cost(20, 1_000, 20, 20) : each));
    expect(missed({ own })).toEqual(["the room's own CPU for each relay more, 1,000 members"]);
  });

  it("are missed by a small room that pays for relays that it does not use", () => {
    expect(missed({ small: { ...good.small, small: [{ lone: 50, saturated: 2 }] } })).toHaveLength(2);
    expect(missed({ rows: { ...good.rows, small: rows(138) } })).toEqual([
      "rows written, small room, relays on: 100 joins",
    ]);
  });

  it("are missed by a region that gets as many bytes at a relay as without", () => {
    const regions = good.regions.map((each) => ({ ...each, relayed: each.direct }));
    expect(missed({ regions })).toEqual(["bytes that leave the room for a region of 100"]);
  });
});
