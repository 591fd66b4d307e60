/** The small parts of the client: address, token times, storage, emitter, page. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { addressOf } from "../../src/client/address.ts";
import { connect, RoomClient } from "../../src/client/client.ts";
import { Emitter } from "../../src/client/emitter.ts";
import { watchPage } from "../../src/client/connection/page.ts";
import { dueIn } from "../../src/client/session/token.ts";
import { defaultStore } from "../../src/client/storage.ts";

afterEach(() => vi.unstubAllGlobals());

describe("address", () => {
  it.each([
    ["https://a.test", "chat/x", "wss://a.test/rooms/chat/x"],
    ["http://a.test:8787/", "x", "ws://a.test:8787/rooms/x"],
    ["wss://a.test/deep/path/", "x", "wss://a.test/deep/path/rooms/x"],
    ["ws://a.test/deep?query#hash", "x", "ws://a.test/deep/rooms/x"],
    ["https://a.test", "chat/a:b@c~d.e_f-g", "wss://a.test/rooms/chat/a%3Ab%40c~d.e_f-g"],
    ["https://a.test", "chat/a?b#c", "wss://a.test/rooms/chat/a%3Fb%23c"],
  ])("the address of %s, room %s, is %s", (base, room, socket) => {
    const session = `${socket.replace("ws", "http")}/session`;
    expect(addressOf(base, room)).toEqual({ socket, session });
  });

  it("an address may be relative on a page, and must be absolute elsewhere", () => {
    expect(() => addressOf("/", "x")).toThrow(TypeError);
    vi.stubGlobal("location", { href: "https://a.test/page" });
    expect(addressOf("/", "x").socket).toBe("wss://a.test/rooms/x");
  });
});

it("connect throws at once without a valid address or a WebSocket", () => {
  expect(() => connect("nowhere", { room: "x", token: "t" })).toThrow(TypeError);
  vi.stubGlobal("WebSocket", undefined);
  expect(() => new RoomClient("http://a.test", { room: "x", token: "t" })).toThrow(/WebSocket/);
});

describe("token", () => {
  it.each([
    ["an hour", 3_600_000, 3_540_000],
    ["two minutes", 120_000, 60_000],
    ["a minute", 60_000, 30_000],
    ["a second", 1_000, 1_000],
    ["a year", 31_536_000_000, 2 ** 31 - 1],
    ["nothing: this clock is wrong", 0, undefined],
    ["less than nothing", -7_200_000, undefined],
  ])("a token that has %s left is replaced in time", (_, left, due) => {
    expect(dueIn(1_000_000 + left, 1_000_000)).toBe(due);
  });
});

describe("storage", () => {
  it("the default store of a page is the tab's own", () => {
    const kept = new Map<string, string>();
    vi.stubGlobal("document", {});
    vi.stubGlobal("sessionStorage", {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
    const store = defaultStore();
    store.set("a", "1");
    expect([store.get("a"), store.get("b"), kept.size]).toEqual(["1", null, 1]);
    store.delete("a");
    expect(kept.size).toBe(0);
  });

  it("the default store is memory where a page may not store, and where there is no page", () => {
    const store = defaultStore();
    store.set("a", "1");
    expect([store.get("a"), defaultStore().get("a")]).toEqual(["1", undefined]);
    // A program's is shared by all it does.
    const shared = new Map<string, string>();
    const web = {
      getItem: () => null,
      setItem: (key: string, value: string) => shared.set(key, value),
      removeItem: () => undefined,
    };
    vi.stubGlobal("document", undefined);
    vi.stubGlobal("sessionStorage", web);
    defaultStore().set("a", "1");
    expect(shared.size).toBe(0);
    vi.stubGlobal("document", {});
    vi.stubGlobal("sessionStorage", undefined);
    const window = { value: globalThis };
    Object.defineProperty(window.value, "sessionStorage", {
      configurable: true,
      get() {
        throw new Error("SecurityError");
      },
    });
    const other = defaultStore();
    other.set("a", "2");
    expect(other.get("a")).toBe("2");
  });
});

describe("listeners", () => {
  it("listeners are called in order, as often as each was added, until each is stopped", () => {
    const emitter = new Emitter<{ a: number }>();
    const seen: string[] = [];
    const twice = (value: number) => seen.push(`twice ${value}`);
    const stop = emitter.on("a", twice);
    emitter.on("a", twice);
    emitter.on("a", (value) => seen.push(`other ${value}`));
    emitter.emit("a", 1);
    stop();
    stop();
    emitter.emit("a", 2);
    expect(seen).toEqual(["twice 1", "twice 1", "other 1", "twice 2", "other 2"]);
  });

  it("listeners may stop themselves and others while they are called", () => {
    const emitter = new Emitter<{ a: number }>();
    const seen: number[] = [];
    const stop = emitter.on("a", () => {
      stop();
      stopSecond();
    });
    const stopSecond = emitter.on("a", () => seen.push(2));
    emitter.on("a", () => seen.push(3));
    emitter.emit("a", 0);
    emitter.emit("a", 0);
    expect(seen).toEqual([3, 3]);
  });
});

describe("a page", () => {
  it("a page wakes the client when it is online or visible again, not when it is hidden", () => {
    const window = new EventTarget();
    const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
    vi.stubGlobal("window", window);
    vi.stubGlobal("document", document);
    let woken = 0;
    const stop = watchPage(() => woken++);
    window.dispatchEvent(new Event("online"));
    expect(woken).toBe(1);
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(woken).toBe(1);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(woken).toBe(2);
    stop();
    window.dispatchEvent(new Event("online"));
    document.dispatchEvent(new Event("visibilitychange"));
    expect(woken).toBe(2);
  });

  it("outside of a page there is nothing to watch", () => {
    expect(() => watchPage(() => undefined)()).not.toThrow();
  });
});
