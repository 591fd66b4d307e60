/** What a Worker that calls a room by RPC learns when it is refused. */
import { expect, it } from "vitest";
import { TestedRoom } from "../support/room.ts";

/** What a call rejects with. */
async function refusal(call: Promise<unknown>): Promise<{ message: string; code?: string; retryAfter?: number }> {
  const error: unknown = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Error)) throw new Error("the call was not refused");
  return error;
}

it("a refused call by RPC rejects with a code, as everything else that is refused has one", async () => {
  const { stub } = new TestedRoom();
  expect(await refusal(stub.publish("x".repeat(1_100_000)))).toMatchObject({ code: "too_large" });
  expect(await refusal(stub.publish(1, { to: [] }))).toMatchObject({
    code: "bad_request",
    message: expect.stringContaining("to is an array") as string,
  });
  expect(await refusal(stub.kick(""))).toMatchObject({ code: "bad_request" });
});
