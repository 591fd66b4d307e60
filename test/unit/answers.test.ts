/** What a room of another version may answer, and what the Worker makes of it; and how long it waits. */
import { describe, expect, it, vi } from "vitest";
import { readAnswer, refusalIn } from "../../src/http/room-call.ts";
import { readRefusal } from "../../src/protocol/refusal.ts";
import { withTimeout } from "../../src/protocol/with-timeout.ts";

describe("an answer of a room", () => {
  it("is passed on when it has every field of the operation", () => {
    const value = { offset: 1, at: 2, more: 3 };
    expect(readAnswer({ ok: true, value }, ["offset", "at"])).toEqual({ ok: true, value });
  });

  it.each([
    ["an empty success, as older rooms answer what they do not know", { ok: true }],
    ["a success without a field", { ok: true, value: { offset: 1 } }],
    ["a success with no object in it", { ok: true, value: "done" }],
    ["a refusal with a code of a newer version", { ok: false, code: "brand_new" }],
    ["a refusal with a name of a prototype for a code", { ok: false, code: "constructor" }],
    ["nothing", undefined],
    ["null", null],
    ["text", "ok"],
  ])("is never taken for a success when it is %s", (_what, answer) => {
    expect(readAnswer(answer, ["offset", "at"])).toMatchObject({ ok: false, code: "restarting", retryAfter: 1_000 });
  });

  it("that refuses keeps its code, message and time to wait, and nothing else", () => {
    const refusal = { code: "rate_limited", message: "Slowly.", retryAfter: 5 };
    expect(readAnswer({ ok: false, ...refusal, stack: "secret" }, [])).toEqual({ ok: false, ...refusal });
    expect(refusalIn({ code: "room_full", retryAfter: NaN, message: 7 })).toEqual({ code: "room_full" });
    expect(readRefusal({ code: "none" })).toBeUndefined();
  });
});

describe("a call with a time limit", () => {
  it("resolves and rejects as what it waits for does, and leaves no timer behind", async () => {
    vi.useFakeTimers();
    try {
      expect(await withTimeout(Promise.resolve(1), "it", 1_000)).toBe(1);
      await expect(withTimeout(Promise.reject(new Error("its own")), "it", 1_000)).rejects.toThrow("its own");
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("rejects with a TimeoutError that names who did not answer, at the limit and not before", async () => {
    vi.useFakeTimers();
    try {
      const settled = vi.fn<(error: unknown) => void>();
      const waiting = withTimeout(new Promise(() => {}), "the room", 1_000).catch(settled);
      await vi.advanceTimersByTimeAsync(999);
      expect(settled).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(1);
      await waiting;
      expect(settled.mock.lastCall?.[0]).toMatchObject({
        name: "TimeoutError",
        message: "the room did not answer in 1000 ms",
      });
    } finally {
      vi.useRealTimers();
    }
  });
});
