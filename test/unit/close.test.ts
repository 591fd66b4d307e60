import { expect, it } from "vitest";
import { answerCode, cutReason } from "../../src/protocol/close.ts";
import { codes, nextStep } from "../../src/protocol/codes.ts";

it("a reason is cut at 123 bytes and never inside a character", () => {
  const bytes = (text: string) => new TextEncoder().encode(text).length;
  expect(cutReason("a".repeat(123))).toHaveLength(123);
  expect(cutReason("a".repeat(200))).toHaveLength(123);
  for (const character of ["é", "漢", "😀"]) {
    for (let shift = 0; shift < 4; shift++) {
      const cut = cutReason("a".repeat(shift) + character.repeat(100));
      expect(bytes(cut)).toBeLessThanOrEqual(123);
      expect(bytes(cut)).toBeGreaterThan(123 - bytes(character));
      expect(cut).toMatch(new RegExp(`^a*(?:${character})*$`, "u"));
    }
  }
});

it("codes that may not be sent are answered with 1000", () => {
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535]) expect(answerCode(code)).toBe(1000);
  for (const code of [1000, 1001, 1009, 1011, 1012, 3000, 4000, 4409, 4999]) expect(answerCode(code)).toBe(code);
});

it("the table decides what a client does, then the band", () => {
  for (const { close, next } of Object.values(codes)) {
    if (close !== null) expect(nextStep(close)).toBe(next);
  }
  expect([4050, 4150, 4250, 4450, 4999, 1001, 1006, 1011].map(nextStep)).toEqual([
    "reconnect",
    "later",
    "renew",
    "stop",
    "later",
    "reconnect",
    "later",
    "later",
  ]);
});

it("no two codes share a close code, and every one is in its band", () => {
  const used = Object.values(codes).flatMap(({ close }) => (close === null ? [] : [close]));
  expect(new Set(used).size).toBe(used.length);
  for (const { close, next } of Object.values(codes)) {
    if (close === null || close < 4000) continue;
    const band = Math.floor(close / 100);
    expect({ 40: "reconnect", 41: "later", 42: "renew", 44: "stop" }[band], String(close)).toBe(next);
  }
});
