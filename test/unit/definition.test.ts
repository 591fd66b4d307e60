import { expect, it } from "vitest";
import { defineRoom, Rejection, reject, toMs, type Duration } from "../../src/room/definition.ts";

it("an empty definition has every default", () => {
  expect(defineRoom({})).toMatchObject({
    resumeWindow: 3_600_000,
    grace: 10_000,
    retain: 1_000,
    heartbeat: { every: 30_000, idle: 240_000, misses: 3 },
    maxConnections: 10_000,
    maxConnectionsPerUser: 100,
    maxMessage: 65_536,
    rate: { perSecond: 50, burst: 100 },
  });
});

it("durations are numbers or text", () => {
  const texts: [Duration, number][] = [
    [250, 250],
    ["250ms", 250],
    ["1.5s", 1_500],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["2d", 172_800_000],
  ];
  for (const [text, ms] of texts) expect(toMs(text, "it")).toBe(ms);
  for (const wrong of ["", "5", "s", "-1s", "1 s", "1w", -1, Number.NaN, Infinity]) {
    expect(() => toMs(wrong as Duration, "grace"), String(wrong)).toThrow(/grace/);
  }
});

it("a wrong option is named", () => {
  const wrong: [Parameters<typeof defineRoom>[0], string][] = [
    [{ retain: -1 }, "retain"],
    [{ retain: 1.5 }, "retain"],
    [{ maxConnections: 32_001 }, "maxConnections"],
    [{ maxConnectionsPerUser: 0 }, "maxConnectionsPerUser"],
    [{ maxMessage: 1_048_577 }, "maxMessage"],
    [{ heartbeat: { every: 0 } }, "heartbeat.every"],
    [{ heartbeat: { every: "1m", idle: "30s" } }, "heartbeat.idle"],
    [{ heartbeat: { misses: 0 } }, "heartbeat.misses"],
    [{ rate: { perSecond: 0 } }, "rate.perSecond"],
    [{ rate: { burst: 0 } }, "rate.burst"],
    [{ resumeWindow: "soon" as Duration }, "resumeWindow"],
  ];
  for (const [definition, name] of wrong) expect(() => defineRoom(definition)).toThrow(name);
});

it("the grace is never longer than the resume window", () => {
  expect(defineRoom({ resumeWindow: "5s" }).grace).toBe(5_000);
});

it("a rejection carries its text and when to come back", () => {
  expect(reject("no", "2s")).toEqual(new Rejection("no", 2_000));
});
