/** The hooks in a real browser, under StrictMode, against the real `npm start`: what opens, what is shared, what ends. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser, Page, WebSocket } from "playwright-core";
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { connect, memoryStore, type RoomClient } from "../../src/client/client.ts";
import { useMembers, usePublications, useRoom, useSignal } from "../../src/react/react.ts";
import { Server } from "../e2e/server.ts";
import { eventually, patience } from "../support/patience.ts";
import { launch } from "./chromium.ts";

const HTML = `<!doctype html><html lang="en"><title>hooks</title><div id="root"></div>
<script type="module" src="/page.js"></script></html>`;

let script = "";
const pages = createServer((request, response) => {
  const isScript = request.url === "/page.js";
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
  response.end(isScript ? script : HTML);
});
let origin = "";
let server: Server;
let browser: Browser;
let page: Page;
/** Every WebSocket the page has ever made. */
let sockets: WebSocket[];
let errors: string[];
let bob: RoomClient;

beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, "react-page/page.ts")],
    bundle: true,
    write: false,
    format: "esm",
    // With React's checks, and with StrictMode's second run of effects.
    define: { "process.env.NODE_ENV": '"development"' },
  });
  script = outputFiles[0]?.text ?? "";
  pages.listen(0, "127.0.0.1");
  await once(pages, "listening");
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;
  server = new Server(["--var", `ALLOWED_ORIGINS:${origin}`]);
  await server.start();
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
  pages.close();
});

beforeEach(async () => {
  page = await browser.newPage();
  page.setDefaultTimeout(patience(4_000));
  sockets = [];
  errors = [];
  page.on("websocket", (socket) => sockets.push(socket));
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  bob = connect(server.url, { room: "react", token: await server.token("bob"), storage: memoryStore() });
  const query = new URLSearchParams({ url: server.url });
  for (const user of ["ann", "cem"]) query.set(`token.${user}`, await server.token(user));
  await page.goto(`${origin}/?${String(query)}`);
  await shows("talk-state", "open");
  await shows("people-state", "open");
});
afterEach(async () => {
  bob.leave();
  await page.close();
  if (errors.length > 0) throw new Error(`the page complained:\n${errors.join("\n")}`);
});

const text = (id: string) => page.locator(`#${id}`).textContent();
const shows = (id: string, value: string | RegExp) =>
  eventually(async () =>
    typeof value === "string" ? expect(await text(id)).toBe(value) : expect(await text(id)).toMatch(value),
  );
const live = () => sockets.filter((socket) => !socket.isClosed());

it("opens one socket under StrictMode, which two components share", async () => {
  await shows("members", "ann:good, bob:");
  await shows("reset", "new");
  // A second socket would have been begun before something came through the first.
  const { offset } = await bob.publish("here");
  await shows("items", new RegExp(`${offset} bob here$`));
  expect(sockets).toHaveLength(1);
  // Nor was a second one begun and given up before it had its token.
  expect(await page.evaluate("asked")).toBe(1);
});

it("renders publications of both sides, members with their presence, and signals", async () => {
  await eventually(() => expect(bob.state.name).toBe("open"));
  const heard: unknown[] = [];
  bob.on("publication", ({ by, data }) => heard.push([by, data]));
  const { offset } = await bob.publish("one");
  await bob.publish("two");
  await shows("items", new RegExp(`${offset} bob one; ${offset + 1} bob two$`));
  await page.click("#say");
  await shows("items", `${offset} bob one; ${offset + 1} bob two; ${offset + 2} ann from the page`);
  await eventually(() => expect(heard).toContainEqual(["ann", "from the page"]));
  bob.setPresence({ mood: "curious" });
  await shows("members", "ann:good, bob:curious");
  // In one message: the newest is shown, and the handler gets each.
  bob.signal({ n: 1 });
  bob.signal({ n: 20 });
  await shows("signal", "bob 20 of 21");
  expect(sockets).toHaveLength(1);
});

it("keeps its socket over a remount, and starts a component that comes late from what is known", async () => {
  const { offset } = await bob.publish("before");
  await shows("items", new RegExp(`${offset} bob before$`));
  await page.click("#remount");
  await shows("generation", "1");
  await shows("items", new RegExp(`${offset} bob before$`));
  expect(await text("talk-state")).toBe("open");
  expect(await text("members")).toContain("ann:good");
  await bob.publish("after");
  await shows("items", new RegExp(`${offset + 1} bob after$`));
  expect(sockets).toHaveLength(1);
});

it("C10: gives the room to components below a provider, as the member, the ids and the snapshot that they select", async () => {
  await shows("ids", "ann, bob");
  await shows("self", "good");
  await shows("snapshot", "new");
  await shows("pending", "");
  expect(sockets).toHaveLength(1);
});

it("C10: a selector that makes new objects at each look is called once for each change of the members", async () => {
  await shows("moods", "ann good, bob ");
  bob.setPresence({ mood: "curious" });
  await shows("moods", "ann good, bob curious");
});

it("C10: what is published in the handler that takes the last component away arrives, and its promise settles", async () => {
  const heard: unknown[] = [];
  bob.on("publication", ({ by, data }) => heard.push([by, data]));
  await eventually(() => expect(bob.state.name).toBe("open"));
  await page.click("#farewell");
  await eventually(() => expect(heard).toEqual([["ann", "farewell"]]));
  await eventually(async () => expect(await page.evaluate("said")).toBe(1));
  await eventually(() => expect(live()).toHaveLength(0));
  expect(sockets).toHaveLength(1);
});

it("is another connection for another user, and the first one ends", async () => {
  await page.click("#switch");
  await eventually(() => expect(sockets).toHaveLength(2));
  await shows("talk-state", "open");
  await eventually(async () => expect(await text("members")).toContain("cem:good"));
  await eventually(() => expect(live()).toHaveLength(1));
  await page.click("#say");
  await shows("items", /\d+ cem from the page$/);
  expect(sockets).toHaveLength(2);
});

it("closes the socket when the last component has gone, and opens another for the next", async () => {
  await page.click("#toggle");
  await eventually(() => expect(live()).toHaveLength(0));
  await page.click("#toggle");
  await shows("talk-state", "open");
  expect(sockets).toHaveLength(2);
  expect(live()).toHaveLength(1);
});

it("renders on a server, where nothing connects", () => {
  function App() {
    const room = useRoom("/", { room: "lobby", token: "none" });
    const { length } = usePublications(room);
    const here = useMembers(room).length;
    return createElement(
      "p",
      null,
      [room.state.name, room.client === undefined, here, length, useSignal(room)?.by].join(),
    );
  }
  expect(renderToString(createElement(App))).toBe("<p>idle,true,0,0,</p>");
});
