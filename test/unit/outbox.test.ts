/** Events out of a room to a receiver that is down for a day: when it is tried again, and when it is given up. */
import { expect, it } from "vitest";
import type { Batch, OutEvent } from "../../src/room/outlet.ts";
import { HostedRoom } from "../support/hosted.ts";

const DAY_MS = 86_400_000;

it("a batch is tried again after 1 s, 2 s, 4 s ... 5 min, and given up after about a day; the next has its turn", async () => {
  const tried: { readonly at: number; readonly batch: Batch }[] = [];
  const isBad = ({ publication }: OutEvent) => publication?.data === "bad";
  const room = new HostedRoom({
    events: {
      to: (batch) => {
        tried.push({ at: room.now, batch });
        return batch.events.some(isBad) ? Promise.reject(new Error("the receiver is down")) : Promise.resolve();
      },
    },
  });
  const outbox = async () =>
    (await room.operate({ type: "stats" })) as { readonly value?: { readonly outbox: object } };
  const began = room.now;
  await room.settled(room.host.command({ type: "publish", data: "bad" }));
  await room.pass(100);
  await room.settled(room.host.command({ type: "publish", data: "good" }));
  expect((await outbox()).value?.outbox).toEqual({ pending: 2, dead: 0, tries: 1, nextTry: began + 1_000 });
  await room.pass(2 * DAY_MS);

  const [first, ...rest] = tried.map(({ batch }) => batch);
  const last = rest.pop();
  expect(rest.map(({ id, tries }) => [id, tries])).toEqual(rest.map((_, i) => [first?.id, i + 1]));
  expect(rest).toHaveLength(295);
  expect(last?.events.map(({ publication }) => publication?.data)).toEqual(["good"]);
  const waits = tried.slice(1, -1).map(({ at }, i) => Math.round((at - (tried[i]?.at ?? 0)) / 1_000));
  expect(waits.slice(0, 11)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
  expect(waits.slice(11).every((wait) => wait === 300)).toBe(true);
  const hours = ((tried.at(-1)?.at ?? 0) - began) / 3_600_000;
  expect(hours).toBeGreaterThan(23);
  expect(hours).toBeLessThan(25);

  expect((await outbox()).value?.outbox).toEqual({ pending: 0, dead: 1, tries: 0 });
  expect(await room.operate({ type: "dead" })).toMatchObject({
    value: { dead: [{ id: first?.id, at: began, tries: 296, error: "upstream_failed", events: 1 }] },
  });
  expect(room.failures.filter(({ message }) => message?.includes("given up"))).toMatchObject([
    { source: "events", message: "Error: 1 batches of events given up: upstream_failed" },
  ]);
  const counted = room.reports.map(({ counts }) => Number((counts as Record<string, unknown>)["events_out|dead"] ?? 0));
  expect(counted.reduce((sum, n) => sum + n, 0)).toBe(1);
});
