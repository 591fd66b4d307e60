/** How much a connection may send, and be sent. */
import { describe, expect, it } from "vitest";
import { Connection, CREDIT_BYTES, CREDIT_ITEMS } from "../../src/room/rules/connection.ts";
import { fullBucket, take } from "../../src/room/rules/rate.ts";

const rate = { perSecond: 50, burst: 100 };

describe("the bucket", () => {
  it("gives the burst, then the rate", () => {
    const bucket = fullBucket(rate, 0);
    for (let i = 0; i < 100; i++) expect(take(bucket, rate, 0, 1).ok).toBe(true);
    expect(take(bucket, rate, 0, 1)).toEqual({ ok: false, retryAfter: 20, abuse: false });
    expect(take(bucket, rate, 40, 1).ok).toBe(true);
    expect(take(bucket, rate, 40, 1).ok).toBe(false);
  });

  it("never holds more than the burst, nor gains when the clock goes back", () => {
    const bucket = fullBucket(rate, 1_000);
    take(bucket, rate, 1_000_000, 0);
    expect(bucket.tokens).toBe(100);
    take(bucket, rate, 0, 100);
    expect(take(bucket, rate, 500, 1).ok).toBe(false);
  });

  it("calls it abuse when the debt is larger than the burst", () => {
    const bucket = fullBucket(rate, 0);
    for (let i = 0; i < 200; i++) expect(take(bucket, rate, 0, 1)).not.toMatchObject({ abuse: true });
    expect(take(bucket, rate, 0, 1)).toEqual({ ok: false, retryAfter: 2_020, abuse: true });
  });
});

it("credit ends after so many items or bytes", () => {
  const pointer = { session: "s", generation: 1, since: 0, credit: { offset: 10, bytes: 100 } };
  const connection = new Connection({ user: "u", pointer, rate, now: 0, changed: new Set() });
  expect(connection.mayFeed(10 + CREDIT_ITEMS - 1, 100 + CREDIT_BYTES - 1)).toBe(true);
  expect(connection.mayFeed(10 + CREDIT_ITEMS, 100)).toBe(false);
  expect(connection.mayFeed(10, 100 + CREDIT_BYTES)).toBe(false);
});
