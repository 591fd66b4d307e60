/** Buckets by user and address: how they fill, what they forget, and which addresses are one. */
import { describe, expect, it } from "vitest";
import { addressKey, Buckets } from "../../src/http/gate/buckets.ts";

describe("E9: buckets", () => {
  it("give their burst at once, and then one for each share of a second", () => {
    const buckets = new Buckets({ perSecond: 10, burst: 3 });
    expect([1, 2, 3, 4].map(() => buckets.take("ann", 0))).toEqual([0, 0, 0, 100]);
    expect(buckets.take("ann", 99)).toBeLessThanOrEqual(2);
    expect(buckets.take("ann", 100)).toBe(0);
    expect(buckets.take("bob", 100)).toBe(0);
  });

  it("do not fill when the clock goes back, and never past their burst", () => {
    const buckets = new Buckets({ perSecond: 10, burst: 1 });
    expect(buckets.take("ann", 1_000)).toBe(0);
    expect(buckets.take("ann", 0)).toBeGreaterThan(0);
    expect(buckets.take("ann", 1_000_000)).toBe(0);
    expect(buckets.take("ann", 1_000_000)).toBeGreaterThan(0);
  });

  it("are bounded however many callers there are, and keep those that come again", () => {
    const buckets = new Buckets({ perSecond: 0.001, burst: 1 });
    expect(buckets.take("regular", 0)).toBe(0);
    for (let i = 0; i < 50_000; i++) {
      buckets.take(`stranger-${i}`, 0);
      if (i % 1_000 === 0) expect(buckets.take("regular", 0)).toBeGreaterThan(0);
    }
    expect(buckets.size).toBeLessThanOrEqual(10_000);
  });
});

describe("E9: addresses", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["2001:db8::1", "2001:db8:0:0"],
    ["2001:DB8:0:0:ffff::1", "2001:db8:0:0"],
    ["2001:0db8:0001:0002:3:4:5:6", "2001:db8:1:2"],
    ["::2", "0:0:0:0"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["0:0:0:0:0:FFFF:cb00:7107", "203.0.113.7"],
    ["2a06:98c0:3600::104", "2a06:98c0:3600:0"],
  ])("%s counts as %s", (ip, key) => {
    expect(addressKey(ip)).toBe(key);
  });

  it.each(["", "127.0.0.1", "::1", "::ffff:127.0.0.1", "2a06:98c0:3600::103", "2A06:98C0:3600:0:0:0:0:0103"])(
    "%j is not counted",
    (ip) => {
      expect(addressKey(ip)).toBeUndefined();
    },
  );

  it("are short whatever comes", () => {
    expect(addressKey("x".repeat(10_000))?.length).toBeLessThan(50);
    expect(addressKey(`${"a".repeat(99)}:b`)?.length).toBeLessThan(50);
  });
});
