/** The small parts of the client: address, token times, storage, emitter, page. */
import { afterEach, describe, expect, it, vi } from "vitest";
import { addressOf } from "../../src/client/address.ts";
import { connect, RoomClient } from "../../src/client/client.ts";
import { Emitter } from "../../src/client/emitter.ts";
import { watchPage } from "../../src/client/connection/page.ts";
import { dueIn } from "../../src/client/session/token.ts";
import { tabStore } from "../../src/client/storage.ts";
import { lines } from "../support/line.ts";
import { randomFrom } from "../support/random.ts";

afterEach(() => vi.unstubAllGlobals());

describe("address", () => {
  it.each([
    ["https://a.test", "chat/x", "wss://a.test/rooms/chat/x"],
    ["http://a.test:8787/", "x", "ws://a.test:8787/rooms/x"],
    ["wss://a.test/deep/path/", "x", "wss://a.test/deep/path/rooms/x"],
    ["ws://a.test/deep?tenant=acme#hash", "x", "ws://a.test/deep/rooms/x?tenant=acme"],
    ["https://ann:secret@a.test:81/a@b", "x", "wss://a.test:81/a@b/rooms/x"],
    [" HTTP://a.test\n", "x", "ws://a.test/rooms/x"],
    ["https://a.test", "chat/a:b@c~d.e_f-g", "wss://a.test/rooms/chat/a%3Ab%40c~d.e_f-g"],
    ["https://a.test", "chat/a?b#c", "wss://a.test/rooms/chat/a%3Fb%23c"],
  ])("the address of %s, room %s, is %s", (base, room, socket) => {
    const session = socket.replace("ws", "http").replace(/(?=\?|$)/, "/session");
    expect(addressOf(base, room)).toEqual({ socket, session });
  });

  it("C11: an absolute address needs no URL, which in React Native has no parts", () => {
    vi.stubGlobal("URL", undefined);
    expect(addressOf("https://a.test/deep/?tenant=a", "chat/x")).toEqual({
      socket: "wss://a.test/deep/rooms/chat/x?tenant=a",
      session: "https://a.test/deep/rooms/chat/x/session?tenant=a",
    });
  });

  it("an address may be relative on a page, and must be absolute elsewhere", () => {
    expect(() => addressOf("/", "x")).toThrow(TypeError);
    vi.stubGlobal("location", { href: "https://a.test/page" });
    expect(addressOf("/", "x").socket).toBe("wss://a.test/rooms/x");
  });
});

describe("options", () => {
  const good = { room: "x", token: "t" };
  it.each([
    ["nowhere", good, "url is not an http or ws URL: nowhere"],
    ["http:///path", good, "url is not an http or ws URL: http:///path"],
    ["https://", good, "url is not an http or ws URL: https://"],
    ["mailto:a@b.test", good, "url is not an http or ws URL: mailto:a@b.test"],
    [undefined, good, "url is missing, or of the wrong type"],
    ["", good, "url is missing, or of the wrong type"],
    ["http://a.test", undefined, "room is missing, or of the wrong type"],
    ["http://a.test", { token: "t" }, "room is missing, or of the wrong type"],
    ["http://a.test", { ...good, room: "" }, "room is missing, or of the wrong type"],
    ["http://a.test", { ...good, room: 7 }, "room is missing, or of the wrong type"],
    ["http://a.test", { room: "x", token: undefined }, "token is missing, or of the wrong type"],
    ["http://a.test", { ...good, token: "" }, "token is missing, or of the wrong type"],
    ["http://a.test", { ...good, pingInterval: 0 }, "pingInterval is missing, or of the wrong type"],
    ["http://a.test", { ...good, pingInterval: NaN }, "pingInterval is missing, or of the wrong type"],
    ["http://a.test", { ...good, token: {} }, "token is missing, or of the wrong type"],
  ])("T25: connect(%j, %j) throws a TypeError that says what is wrong", (url, options, message) => {
    const open = () => connect(url as string, options as never);
    expect(open).toThrow(TypeError);
    expect(open).toThrow(message);
  });

  it("T25: connect throws at once on a platform without a WebSocket, unless it is given one", () => {
    vi.stubGlobal("WebSocket", undefined);
    expect(() => new RoomClient("http://a.test", good)).toThrow("WebSocket is missing");
    expect(new RoomClient("http://a.test", { ...good, WebSocket: lines().Class }).state.name).toBe("idle");
  });
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
    ["no number, as something that is no room may say it", NaN, undefined],
  ])("a token that has %s left is replaced in time", (_, left, due) => {
    expect(dueIn(left, 0)).toBe(due);
  });

  it("C12: of 1,000 tokens that end together each is replaced at a time of its own, over a minute", () => {
    const random = randomFrom(20_261_127);
    const dues = Array.from({ length: 1_000 }, () => dueIn(3_600_000, random()) ?? NaN);
    const second = (ms: number) => Math.floor(ms / 1_000);
    const fullest = Math.max(
      ...Map.groupBy(dues, second)
        .values()
        .map(({ length }) => length),
    );
    expect([Math.min(...dues) >= 3_480_000, Math.max(...dues) <= 3_540_000, fullest < 40]).toEqual([true, true, true]);
  });
});

describe("storage", () => {
  it("C4: the store of a tab is the tab's own", () => {
    const kept = new Map<string, string>();
    vi.stubGlobal("document", {});
    vi.stubGlobal("sessionStorage", {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => kept.set(key, value),
      removeItem: (key: string) => kept.delete(key),
    });
    const store = tabStore();
    store.set("a", "1");
    expect([store.get("a"), store.get("b"), kept.size]).toEqual(["1", null, 1]);
    store.delete("a");
    expect(kept.size).toBe(0);
  });

  it("the store of a tab is memory where a page may not store, and where there is no page", () => {
    const store = tabStore();
    store.set("a", "1");
    expect([store.get("a"), tabStore().get("a")]).toEqual(["1", undefined]);
    // A program's is shared by all it does.
    const shared = new Map<string, string>();
    const web = {
      getItem: () => null,
      setItem: (key: string, value: string) => shared.set(key, value),
      removeItem: () => undefined,
    };
    vi.stubGlobal("document", undefined);
    vi.stubGlobal("sessionStorage", web);
    tabStore().set("a", "1");
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
    const other = tabStore();
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

  it("C8: a listener that ends itself and listens anew is called once for each event", () => {
    const emitter = new Emitter<{ a: number }>();
    const seen: number[] = [];
    const listen = () => {
      const stop = emitter.on("a", (value) => {
        seen.push(value);
        if (seen.length > 10) return;
        stop();
        listen();
      });
    };
    listen();
    emitter.emit("a", 1);
    emitter.emit("a", 2);
    expect(seen).toEqual([1, 2]);
  });

  it("C8: an event that a listener causes is told to all after the one that caused it", () => {
    const emitter = new Emitter<{ a: number; b: number }>();
    const seen: string[] = [];
    emitter.on("a", (value) => {
      seen.push(`first a${value}`);
      if (value > 1) return;
      emitter.emit("b", value);
      emitter.emit("a", value + 1);
    });
    emitter.on("a", (value) => seen.push(`second a${value}`));
    emitter.on("b", (value) => seen.push(`b${value}`));
    emitter.emit("a", 1);
    expect(seen).toEqual(["first a1", "second a1", "b1", "first a2", "second a2"]);
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
  /** A global object that has events, as browsers and workers have it. */
  function platform() {
    const target = new EventTarget();
    for (const name of ["addEventListener", "removeEventListener"] as const)
      vi.stubGlobal(name, target[name].bind(target));
    const told: string[] = [];
    const events = {
      online: () => told.push("online"),
      offline: () => told.push("offline"),
      visible: () => told.push("visible"),
    };
    return { target, told, events };
  }

  it("C9: a page tells when it is online, offline or visible again, not when it is hidden", () => {
    const { target, told, events } = platform();
    const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
    vi.stubGlobal("document", document);
    const stop = watchPage(events);
    target.dispatchEvent(new Event("online"));
    target.dispatchEvent(new Event("offline"));
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(told).toEqual(["online", "offline"]);
    document.visibilityState = "visible";
    document.dispatchEvent(new Event("visibilitychange"));
    expect(told).toEqual(["online", "offline", "visible"]);
    stop();
    for (const type of ["online", "offline"]) target.dispatchEvent(new Event(type));
    document.dispatchEvent(new Event("visibilitychange"));
    expect(told).toHaveLength(3);
  });

  it("C9: a worker, which has no window and no document, tells of the network", () => {
    const { target, told, events } = platform();
    watchPage(events);
    target.dispatchEvent(new Event("offline"));
    target.dispatchEvent(new Event("online"));
    expect(told).toEqual(["offline", "online"]);
  });

  it("C11: a platform with a window and a document that have no events has nothing to watch", () => {
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("document", {});
    const nothing = () => undefined;
    expect(() => watchPage({ online: nothing, offline: nothing, visible: nothing })()).not.toThrow();
  });
});
