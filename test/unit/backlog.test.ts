/** How much may wait for a peer that does not read. */
import { describe, expect, it } from "vitest";
import { Backlog, BACKLOG_BYTES } from "../../src/room/rules/backlog.ts";

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
    expect(backlog.judge(silent, 1, BACKLOG_BYTES)).toBe("ask");
    backlog.sent(half);
    expect(backlog.judge(silent, 2, BACKLOG_BYTES)).toBe("ok");
    backlog.sent(1);
    expect(backlog.judge(silent, 3, BACKLOG_BYTES)).toBe("slow");
  });

  it("takes an answer as proof that all before the question was read", () => {
    const backlog = new Backlog();
    for (let round = 0; round < 20; round++) {
      expect(backlog.judge(reading(undefined, round * 10 - 1), round * 10, BACKLOG_BYTES)).toMatch(/ask|ok/);
      backlog.sent(half);
    }
    // An answer from before the question proves nothing.
    const other = new Backlog();
    other.sent(half);
    expect(other.judge(reading(undefined, 5), 10, BACKLOG_BYTES)).toBe("ask");
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

  it("elsewhere never gives up a peer that it has not asked, however much one tick sends", () => {
    const backlog = new Backlog();
    backlog.sent(3 * BACKLOG_BYTES);
    expect(backlog.judge(silent, 0, BACKLOG_BYTES)).toBe("ask");
    expect(backlog.judge(reading(undefined, 1), 2, BACKLOG_BYTES)).toBe("ok");
    expect(backlog.isBehind).toBe(false);
  });

  it("takes the answer to a heartbeat as a sign of life like any other", () => {
    const backlog = new Backlog();
    backlog.sent(half);
    backlog.asked(10);
    expect(backlog.judge(reading(undefined, 11), 12, BACKLOG_BYTES)).toBe("ok");
  });
});
