/** Where rooms are: what reaches the namespace of a kind, and what is refused before. */
import { describe, expect, expectTypeOf, it } from "vitest";
import type { Jurisdiction } from "../../src/ops/jurisdiction.ts";
import {
  Places,
  type Kind,
  type LocationHint,
  type RelayBinding,
  type RoomBinding,
} from "../../src/http/gate/places.ts";
import { HookFailed } from "../../src/http/thrown.ts";
import { Misconfigured } from "../../src/ops/settings.ts";
import type { Env as Tested } from "../support/worker.ts";

interface Env {
  readonly CHAT: DurableObjectNamespace;
  readonly GAME: DurableObjectNamespace;
  readonly RELAY: DurableObjectNamespace;
}

/** The platform's namespace, which locally ignores places: it says what it was asked for instead of giving an object. */
function env(): Env {
  const within = (jurisdiction?: string) => ({
    jurisdiction: (one: string) => within(one),
    getByName: (...asked: unknown[]) => ({ jurisdiction, asked }),
  });
  return { CHAT: within(), GAME: within(), RELAY: within() } as unknown as Env;
}

const asked = (chat: Partial<Kind<Env>>, room = "lobby") =>
  new Places<Env>({ chat: { room: "CHAT" as never, ...chat } }).stub(env(), { kind: "chat", room });

describe("a room", () => {
  it.each<[string, Partial<Kind<Env>>, object]>([
    ["is wherever the platform makes it, by default", {}, { jurisdiction: undefined, asked: ["lobby"] }],
    ["is in the jurisdiction of its kind", { jurisdiction: "eu" }, { jurisdiction: "eu", asked: ["lobby"] }],
    [
      "is in the jurisdiction that its name says",
      { jurisdiction: { among: ["eu", "us"], of: (room) => (room === "lobby" ? "us" : undefined) } },
      { jurisdiction: "us", asked: ["lobby"] },
    ],
    [
      "is near the place of its kind",
      { locationHint: "apac" },
      { jurisdiction: undefined, asked: ["lobby", { locationHint: "apac" }] },
    ],
    [
      "is near the place that its name says, within its jurisdiction",
      { jurisdiction: "eu", locationHint: (room) => (room === "lobby" ? "weur" : undefined) },
      { jurisdiction: "eu", asked: ["lobby", { locationHint: "weur" }] },
    ],
    [
      "is anywhere when the functions say nothing",
      { jurisdiction: { among: ["eu"], of: () => undefined }, locationHint: () => undefined },
      { jurisdiction: undefined, asked: ["lobby"] },
    ],
  ])("%s", (_, kind, where) => {
    expect(asked(kind)).toEqual(where);
  });

  it("of a function that returns no place is not looked for", () => {
    const of = () => "us" as Jurisdiction;
    expect(() => asked({ jurisdiction: { among: ["eu"], of } })).toThrow(HookFailed);
    expect(() => asked({ jurisdiction: { among: ["eu"], of: () => null as never } })).toThrow(HookFailed);
    expect(() => asked({ locationHint: () => "mars" as LocationHint })).toThrow(HookFailed);
  });

  it("without a binding is a setting that is missing, and named", () => {
    const places = new Places<Env>({ chat: "CHAT" as never, game: { room: "GAME" as never, jurisdiction: "eu" } });
    const { GAME } = env();
    expect(() => places.stub({ GAME } as Env, { kind: "chat", room: "lobby" })).toThrow(Misconfigured);
    expect(places.problems({ GAME } as Env)).toEqual([expect.stringContaining("binding CHAT")]);
    expect(places.problems(env())).toEqual([]);
  });
});

describe("a relay", () => {
  const relay = { binding: "RELAY", name: "chat/lobby/weur/0", region: "weur" };
  const relays = { binding: "RELAY" as never };
  const of = (chat: Partial<Kind<Env>>, address = relay) =>
    new Places<Env>({ chat: { room: "CHAT" as never, relays, ...chat } }).relay(
      env(),
      { kind: "chat", room: "lobby" },
      address,
    );

  it("is near its region, in the jurisdiction of its room, whatever the room is near to", () => {
    const { name } = relay;
    expect(of({ locationHint: "apac" })).toEqual({ jurisdiction: undefined, asked: [name, { locationHint: "weur" }] });
    expect(of({ jurisdiction: "eu" })).toEqual({ jurisdiction: "eu", asked: [name, { locationHint: "weur" }] });
    expect(of({}, { ...relay, region: "any" })).toEqual({ jurisdiction: undefined, asked: [name] });
  });

  it("without a binding is a setting that is missing, and named", () => {
    const places = new Places<Env>({ chat: { room: "CHAT" as never, relays } });
    const { CHAT } = env();
    expect(places.problems({ CHAT } as Env)).toEqual([expect.stringContaining("binding RELAY")]);
    expect(places.problems(env())).toEqual([]);
  });

  it("takes 2,000 connections, and the first at 1,000 of its room, unless the kind says otherwise", () => {
    const given = {
      chat: { room: "CHAT", relays },
      game: { room: "GAME", relays: { binding: "X", from: 1, each: 32_000 } },
    };
    const places = new Places<Env>(given as never);
    expect(places.spreadOf("chat")).toEqual({ binding: "RELAY", from: 1_000, each: 2_000 });
    expect(places.spreadOf("game")).toEqual({ binding: "X", from: 1, each: 32_000 });
    expect(new Places<Env>({ chat: "CHAT" as never }).spreadOf("chat")).toBeUndefined();
  });

  it.each<[string, unknown, new () => Error]>([
    ["null", null, TypeError],
    ["a text", "RELAY", TypeError],
    ["no binding", {}, TypeError],
    ["an empty binding", { binding: "" }, TypeError],
    ["the binding of its own rooms", { binding: "CHAT" }, TypeError],
    ["the binding of other rooms", { binding: "GAME" }, TypeError],
    ["a text for a number", { binding: "RELAY", from: "2" }, TypeError],
    ["relays before there is anybody", { binding: "RELAY", from: 0 }, RangeError],
    ["a part of a connection", { binding: "RELAY", from: 1.5 }, RangeError],
    ["relays for nobody", { binding: "RELAY", each: 0 }, RangeError],
    ["more connections than an object takes", { binding: "RELAY", each: 32_001 }, RangeError],
    ["no number", { binding: "RELAY", each: NaN }, RangeError],
  ])("is refused where it is asked for: %s", (_, given, type) => {
    const kinds = { chat: { room: "CHAT", relays: given }, game: "GAME" } as never;
    expect(() => new Places(kinds)).toThrow(type);
  });

  it("is named by a binding of relays, and a room by one of rooms", () => {
    expectTypeOf<RelayBinding<Tested>>().toEqualTypeOf<"LARGE_RELAY">();
    expectTypeOf<"LARGE">().toExtend<RoomBinding<Tested>>();
    expectTypeOf<Extract<RoomBinding<Tested>, "LARGE_RELAY" | "EDGEROOMS_DIRECTORY">>().toBeNever();
  });

  it("is of one kind only", () => {
    const kinds = { chat: { room: "CHAT", relays }, game: { room: "GAME", relays } } as never;
    expect(() => new Places(kinds)).toThrow("every kind needs its own binding, and so do the relays of each");
  });
});

describe("a namespace without jurisdictions", () => {
  const place = { kind: "chat", room: "lobby" };
  const places = new Places<Env>({ chat: { room: "CHAT" as never, jurisdiction: "eu" } });
  const refusing = (message: string) => {
    const jurisdiction = () => {
      throw new Error(message);
    };
    return { CHAT: { jurisdiction, getByName: (room: string) => room } } as unknown as Env;
  };

  it("is one of a developer's machine: the room is where all others are", () => {
    const local = refusing("Jurisdiction restrictions are not implemented in workerd.");
    expect(places.stub(local, place)).toBe("lobby");
  });

  it("that fails in another way puts no room elsewhere", () => {
    const failing = refusing("no such jurisdiction");
    expect(() => places.stub(failing, place)).toThrow("no such jurisdiction");
  });
});

describe("kinds", () => {
  it("are in all jurisdictions that any of them names, and the Worker in none", () => {
    const of = () => undefined;
    const places = new Places<Env>({
      chat: { room: "CHAT" as never, jurisdiction: { among: ["eu", "us"], of } },
      game: { room: "GAME" as never, jurisdiction: "eu" },
    });
    expect(places.jurisdictions).toEqual([undefined, "eu", "us"]);
    expect(new Places<Env>({ chat: "CHAT" as never }).jurisdictions).toEqual([undefined]);
  });

  it.each<[string, object | undefined]>([
    ["none", {}],
    ["nothing at all", undefined],
    ["two of one binding", { chat: "CHAT", talk: { room: "CHAT", jurisdiction: "eu" } }],
    ["a jurisdiction that does not exist", { chat: { room: "CHAT", jurisdiction: "ch" } }],
    ["one among others", { chat: { room: "CHAT", jurisdiction: { among: ["eu", "ch"], of: () => "eu" } } }],
    ["several without a function", { chat: { room: "CHAT", jurisdiction: { among: ["eu"] } } }],
    ["a place that does not exist", { chat: { room: "CHAT", locationHint: "mars" } }],
  ])("are refused where they are given: %s", (_, kinds) => {
    expect(() => new Places(kinds as never)).toThrow(TypeError);
  });
});
