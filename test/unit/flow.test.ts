import { describe, expect, it } from "vitest";
import {
  Backlog,
  BACKLOG_BYTES,
  CREDIT_BYTES,
  CREDIT_ITEMS,
  fullBucket,
  hasCredit,
  take,
} from "../../src/room/rules/rate.ts";

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
  expect(hasCredit(CREDIT_ITEMS - 1, CREDIT_BYTES - 1)).toBe(true);
  expect(hasCredit(CREDIT_ITEMS, 0)).toBe(false);
  expect(hasCredit(0, CREDIT_BYTES)).toBe(false);
});

describe("the backlog", () => {
  const half = BACKLOG_BYTES / 2;
  const silent = () => ({ buffered: undefined, answeredAt: 0 });
  const reading =
    (buffered: number | undefined, answeredAt = 0) =>
    () => ({ buffered, answeredAt });

  it("believes a runtime that tells what it holds", () => {
    const backlog = new Backlog();
    for (let i = 0; i < 50; i++) {
      expect(backlog.judge(reading(0), i, BACKLOG_BYTES)).toBe("ok");
      backlog.sent(BACKLOG_BYTES);
    }
    expect(backlog.judge(reading(BACKLOG_BYTES), 60, BACKLOG_BYTES)).toBe("ok");
    backlog.sent(1);
    expect(backlog.judge(reading(BACKLOG_BYTES + 1), 61, BACKLOG_BYTES)).toBe("slow");
  });

  it("elsewhere asks for a sign of life at half the bound, and gives up past the bound", () => {
    const backlog = new Backlog();
    backlog.sent(half - 1);
    expect(backlog.judge(silent, 0, BACKLOG_BYTES)).toBe("ok");
    backlog.sent(1);
    expect(backlog.judge(silent, 1, BACKLOG_BYTES)).toBe("probe");
    backlog.sent(half);
    expect(backlog.judge(silent, 2, BACKLOG_BYTES)).toBe("ok");
    backlog.sent(1);
    expect(backlog.judge(silent, 3, BACKLOG_BYTES)).toBe("slow");
  });

  it("takes an answer as proof that all before the question was read", () => {
    const backlog = new Backlog();
    for (let round = 0; round < 20; round++) {
      expect(backlog.judge(reading(undefined, round * 10 - 1), round * 10, BACKLOG_BYTES)).toMatch(/probe|ok/);
      backlog.sent(half);
    }
    // An answer from before the question proves nothing.
    const other = new Backlog();
    other.sent(half);
    expect(other.judge(reading(undefined, 5), 10, BACKLOG_BYTES)).toBe("probe");
    other.sent(half + 1);
    expect(other.judge(reading(undefined, 10), 11, BACKLOG_BYTES)).toBe("slow");
  });

  it("leaves who stays behind a share when many are, and never less than a message or two", () => {
    const after10s = (share: number, buffered: number) => {
      const backlog = new Backlog();
      backlog.sent(buffered);
      expect(backlog.judge(reading(buffered), 0, share)).toBe("ok");
      expect(backlog.judge(reading(buffered), 9_999, share)).toBe("ok");
      return [backlog.judge(reading(buffered), 10_000, share), backlog.isBehind];
    };
    expect(after10s(1_000_000, 1_000_000)).toEqual(["ok", true]);
    expect(after10s(1_000_000, 1_000_001)).toEqual(["slow", true]);
    expect(after10s(10, 131_072)).toEqual(["ok", true]);
    expect(after10s(10, 131_073)).toEqual(["slow", true]);
    expect(after10s(10, 65_535)).toEqual(["ok", false]);
    expect(after10s(Infinity, BACKLOG_BYTES)).toEqual(["ok", true]);
  });

  it("forgets that a peer was behind as soon as it has caught up", () => {
    const backlog = new Backlog();
    backlog.sent(1_000_000);
    expect(backlog.judge(reading(1_000_000), 0, 10)).toBe("ok");
    expect(backlog.judge(reading(0), 5_000, 10)).toBe("ok");
    expect(backlog.isBehind).toBe(false);
    backlog.sent(1_000_000);
    expect(backlog.judge(reading(1_000_000), 14_000, 10)).toBe("ok");
  });
});
