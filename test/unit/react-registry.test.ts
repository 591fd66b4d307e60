/** What the components of a page hold: which share a connection, and when it is closed. Without React, in virtual time. */
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { clientAt, hold, keyOf, open, type RoomOptions } from "../../src/react/registry.ts";
import {
  RoomProvider,
  useMembers,
  usePending,
  useRoom,
  useSelf,
  useSnapshot,
  type RoomHandle,
} from "../../src/react/react.ts";
import { viewOf } from "../../src/react/view.ts";
import { pub, snapshot } from "../support/dialled.ts";
import { lines, type Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const URL_OF_ROOM = "http://edge.test";
let rooms = 0;

/** Options of a room that no other test has, and the sockets that are opened to it. */
function room() {
  const { Class, all } = lines();
  const options: RoomOptions = { room: `r${++rooms}`, token: () => "t", WebSocket: Class };
  const key = keyOf(URL_OF_ROOM, options);
  const line = () => all.at(-1) as Line;
  return { options, key, all, line, holder: { current: options } };
}

it("C10: all spellings of an address are one connection, and other addresses are not", () => {
  const { options } = room();
  const key = (url: string | URL) => keyOf(url, options);
  vi.stubGlobal("location", { href: "http://edge.test/page" });
  const same = [URL_OF_ROOM, "http://edge.test/", new URL(URL_OF_ROOM), "HTTP://EDGE.test:80/", "/", "ws://edge.test"];
  expect(new Set(same.map(key)).size).toBe(1);
  const others = ["http://edge.test/deep", "http://edge.test/?tenant=a", "https://edge.test"];
  expect(new Set([...same, ...others].map(key)).size).toBe(1 + others.length);
  expect(key("http://edge.test/deep/")).toBe(key("http://edge.test/deep"));
});

it("C10: what was published before the last component has gone is sent, and its promise settles", async () => {
  const { options, key, holder, line } = room();
  const release = hold(key, URL_OF_ROOM, holder);
  const sent = open(key, URL_OF_ROOM, holder).publish("last words");
  release();
  // Not even the token is there yet.
  await pass(1_000);
  expect(clientAt(key)?.state.name).toBe("connecting");
  line().welcome({}, snapshot);
  await pass(0);
  line().hears({ type: "ack", ref: line().of("publish")[0]?.ref, offset: 1, at: 7 });
  expect(await sent).toEqual({ ref: 1, offset: 1, at: 7 });
  await pass(50);
  expect([clientAt(key), line().closed, vi.getTimerCount(), options.room]).toEqual([undefined, 1, 0, options.room]);
});

it("C10: a client without components waits no longer than 10 s for an ack, and then says that it is closed", async () => {
  const { key, holder } = room();
  const release = hold(key, URL_OF_ROOM, holder);
  const sent = open(key, URL_OF_ROOM, holder).publish("last words");
  const settled = sent.catch((error: { code: string }) => error.code);
  release();
  await pass(9_900);
  expect(clientAt(key)).toBeDefined();
  await pass(200);
  expect([clientAt(key), await settled, vi.getTimerCount()]).toEqual([undefined, "closed", 0]);
});

it("C10: a component that comes while the client waits for an ack gets this client, which stays", async () => {
  const { key, holder, all } = room();
  const release = hold(key, URL_OF_ROOM, holder);
  const client = open(key, URL_OF_ROOM, holder);
  client.publish("last words").catch(() => undefined);
  release();
  await pass(500);
  const again = hold(key, URL_OF_ROOM, holder);
  await pass(20_000);
  expect([clientAt(key) === client, all.length]).toEqual([true, 1 + 1]);
  again();
  client.close();
  await pass(10_100);
  expect(clientAt(key)).toBeUndefined();
});

it("C10: what a layout effect did before anyone holds the connection waits for the holder, and not for ever", async () => {
  const { key, holder, line } = room();
  const client = open(key, URL_OF_ROOM, holder);
  client.setPresence("here");
  // React may paint, and do other work, before it runs the effect that holds.
  await pass(300);
  const release = hold(key, URL_OF_ROOM, holder);
  await pass(0);
  line().welcome({}, snapshot);
  await pass(0);
  expect([clientAt(key) === client, line().of("presence").length]).toEqual([true, 1]);
  release();
  await pass(0);
  open(key, URL_OF_ROOM, holder);
  await pass(10_100);
  expect([clientAt(key), vi.getTimerCount()]).toEqual([undefined, 0]);
});

it("T7: cookies, a function and a text are three connections, and one with cookies offers no token", async () => {
  const { options, line } = room();
  const { token: _, ...cookie } = options;
  expect(new Set([cookie, options, { ...options, token: "t" }].map((given) => keyOf(URL_OF_ROOM, given))).size).toBe(3);
  const release = hold(keyOf(URL_OF_ROOM, cookie), URL_OF_ROOM, { current: cookie });
  await pass(0);
  expect(line().protocols).toEqual(["edgerooms.v1"]);
  release();
  await pass(0);
});

it("C4: C10: storage: undefined is the default, which forgets with the page", async () => {
  const kept: string[] = [];
  vi.stubGlobal("document", {});
  vi.stubGlobal("sessionStorage", {
    getItem: () => null,
    setItem: (name: string) => kept.push(name),
    removeItem: () => undefined,
  });
  const { options, key, line } = room();
  const release = hold(key, URL_OF_ROOM, { current: { ...options, storage: undefined } });
  await pass(0);
  line().welcome({}, snapshot);
  expect([clientAt(key)?.position?.session, kept]).toEqual(["s", []]);
  release();
  await pass(0);
});

it("C10: a view knows what its components have published and the room has not acknowledged", async () => {
  const { key, holder, line } = room();
  const release = hold(key, URL_OF_ROOM, holder);
  const view = viewOf(open(key, URL_OF_ROOM, holder));
  const seen: unknown[] = [];
  view.subscribe(() => seen.push(view.pending.map(({ data }) => data)));
  await pass(0);
  line().welcome({}, snapshot);
  seen.length = 0;
  const one = view.publish("one");
  const two = view.publish("two").catch((error: { code: string }) => error.code);
  await pass(0);
  line().hears({ type: "ack", ref: 1, offset: 1, at: 7 }, pub(1, 1));
  await one;
  line().hears({ type: "error", ref: 2, code: "rejected", message: "no", retryable: false });
  expect(await two).toBe("rejected");
  expect([seen[0], seen[1], seen.at(-1), view.reset?.reason]).toEqual([["one"], ["one", "two"], [], "new"]);
  release();
  await pass(0);
});

it("C10: useRoom() without a provider says what is missing, and on a server a provider connects nothing", () => {
  function Inner() {
    const here: RoomHandle = useRoom();
    const ids = useMembers(here, (members) => members.map(({ id }) => id));
    const self = useSelf(here)?.id ?? "nobody";
    return createElement(
      "p",
      null,
      [here.state.name, ids.length, self, usePending(here).length, useSnapshot(here)?.reason].join(),
    );
  }
  expect(() => renderToString(createElement(Inner))).toThrow("needs a RoomProvider");
  const { options, all } = room();
  const page = createElement(RoomProvider, { url: URL_OF_ROOM, ...options }, createElement(Inner));
  expect(renderToString(page)).toBe("<p>idle,0,nobody,0,</p>");
  expect(all).toEqual([]);
});
