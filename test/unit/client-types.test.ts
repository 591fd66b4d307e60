/** What the compiler knows of a client: states, events and options. The tests are what `npm run typecheck` compiles. */
import { expectTypeOf, it } from "vitest";
import type { ConnectOptions, Publication, ResetReason, RoomClient, State } from "../../src/client/client.ts";
import type { RoomErrorCode } from "../../src/client/client.ts";

interface Chat {
  publication: { text: string };
  snapshot: Publication[];
}

type Closed = Extract<State, { name: "closed" }>;
type Streamed = RoomClient<Chat>["stream"];

it("C13: the state closed has a code, and whether connect() may succeed", () => {
  expectTypeOf<Closed["code"]>().toEqualTypeOf<RoomErrorCode>();
  expectTypeOf<Closed["retryable"]>().toEqualTypeOf<boolean>();
  expectTypeOf<Extract<State, { name: "open" }>>().not.toHaveProperty("code");
});

it("C8: what stream() gives is told apart by its event", () => {
  const handle = async (stream: Streamed) => {
    for await (const item of stream("reset", "publication")) {
      if (item.event === "reset") {
        expectTypeOf(item.value.reason).toEqualTypeOf<ResetReason>();
        expectTypeOf(item.value.data).toEqualTypeOf<Publication[] | null>();
      } else expectTypeOf(item.value.data).toEqualTypeOf<{ text: string }>();
    }
  };
  expectTypeOf(handle).returns.resolves.toBeVoid();
  expectTypeOf<Streamed>().parameter(0).not.toEqualTypeOf<string>();
});

it("C11: options may be undefined where they may be left out", () => {
  const options = {
    room: "chat",
    token: "t",
    storage: undefined,
    outbox: undefined,
    pingInterval: undefined,
    lostAfter: undefined,
    WebSocket: undefined,
    fetch: undefined,
    now: undefined,
    random: undefined,
  };
  expectTypeOf(options).toExtend<ConnectOptions>();
  expectTypeOf({ to: undefined, traceparent: undefined, timeout: undefined, signal: undefined }).toExtend<
    Parameters<RoomClient["publish"]>[1]
  >();
  expectTypeOf<{ token: string }>().not.toExtend<ConnectOptions>();
});

it("T7: T25: a token may be left out, and may not be undefined", () => {
  expectTypeOf<{ room: string }>().toExtend<ConnectOptions>();
  expectTypeOf<{ room: string; token: string | undefined }>().not.toExtend<ConnectOptions>();
});

it("C13: ready, check and me have the types that the documents say", () => {
  expectTypeOf<RoomClient["ready"]>().toEqualTypeOf<Promise<void>>();
  expectTypeOf<RoomClient["check"]>().returns.toEqualTypeOf<Promise<boolean>>();
  expectTypeOf<RoomClient["me"]>().toEqualTypeOf<string | undefined>();
});
