/** What the OTLP exporter sends of exceptions and log lines: never a message of an exception, never a token. */
import { describe, expect, it } from "vitest";
import { noted, thrown } from "../../ops/otlp/lines.ts";

const SPAN = "b7ad6b7169203331";
const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.AAAAAAAAAAA";

function stackOf(error: Error, message = error.message): string | undefined {
  const { name, stack } = error;
  const exception = { type: "exception", name, message, ...(stack !== undefined && { stack }) } as const;
  const found = thrown(exception, new Date(0), SPAN).attributes.find(({ key }) => key === "exception.stacktrace");
  return found && "stringValue" in found.value ? found.value.stringValue : undefined;
}

const bodyOf = (level: string, message: unknown) =>
  JSON.stringify(noted({ type: "log", level, message } as never, new Date(0), SPAN).body);

describe("E14: the exporter", () => {
  it.each([
    `hello\n    at the-secret-of-a-client ${JWT}`,
    `hello\n    at secret (file:///a.js:1:1)\n    at secret2 (file:///a.js:1:1)`,
    "hello\n",
    "",
  ])("sends of a stack its frames and nothing of the message %j", (message) => {
    const stack = stackOf(new Error(message));
    expect(stack).toMatch(/^ {4}at .*otlp-lines\.test/);
    expect(stack).not.toMatch(/secret|hello|eyJ/);
  });

  it("sends no stack from which the message cannot be told", () => {
    expect(stackOf(new Error("    at secret (a.js:1:1)"), "another message")).toBeUndefined();
  });

  it("sends no frame that stands before a line of the message", () => {
    const error = new Error("cut");
    error.stack = `Error: cut short\n    at secret (a.js:1:1)\nthe rest of the message\n    at real (b.js:2:2)`;
    expect(stackOf(error)).toBe("    at real (b.js:2:2)");
  });

  it("takes tokens out of every line", () => {
    for (const text of [`token ${JWT}`, `Authorization: Bearer opaque-secret`, `bearer.opaque-secret`]) {
      for (const body of [bodyOf("log", text), bodyOf("error", [text, 5])]) {
        expect(body).toContain("[token]");
        expect(body).not.toMatch(/eyJ|opaque-secret/);
      }
    }
    const line = JSON.stringify({ level: "error", code: "internal", message: `it said ${JWT}` });
    expect(bodyOf("error", line)).not.toContain("eyJ");
    expect(bodyOf("log", "an ordinary line, v1.2.3 of example.com")).toContain(
      "an ordinary line, v1.2.3 of example.com",
    );
  });
});
