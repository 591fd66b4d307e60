/** The page at `/` in real Chromium over the real `npm start`: what people do with it, and what networks do to it. */
import { join } from "node:path";
import type { Browser, Route } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Server } from "../e2e/server.ts";
import { becomes, launch, launchPlain, Tab } from "./chromium.ts";

const server = new Server();
const quick = new Server(["--config", join(import.meta.dirname, "quick.toml")]);
let browser: Browser;
let rooms = 0;
const room = () => `demo-${++rooms}`;

beforeAll(async () => {
  await server.start(); // builds the client that both serve
  [browser] = await Promise.all([launch(), quick.start()]);
});
afterAll(() => Promise.all([browser.close(), server.stop(), quick.stop()]));
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

/** Somebody with a browser of their own. */
async function enter(name: string, where: string, prepare?: (tab: Tab) => Promise<unknown>): Promise<Tab> {
  const context = await browser.newContext();
  if (!prepare) return Tab.open(context, server.url, where, name);
  const tab = new Tab(await context.newPage());
  await prepare(tab);
  await tab.goto(server.url, where, name);
  return tab;
}

async function pair(): Promise<[Tab, Tab]> {
  const where = room();
  const [ann, bob] = await Promise.all([enter("Ann", where), enter("Bob", where)]);
  await Promise.all([ann, bob].map((tab) => becomes(() => tab.at(".people li").count(), 2)));
  return [ann, bob];
}

/** Tokens that are worth `seconds`, the Worker's ten of tolerance included. */
const worth = (seconds: number) => async (route: Route) => {
  const body = route.request().postDataJSON() as Record<string, unknown>;
  await route.continue({ postData: JSON.stringify({ ...body, ttl: seconds - 10 }) });
};

describe("two people", () => {
  it("chat, see who types, and point", async () => {
    const [ann, bob] = await pair();
    await ann.say("hello");
    await bob.hears("hello");
    await bob.say("<img src=x onerror=alert(1)>");
    await ann.hears("hello", "<img src=x onerror=alert(1)>");
    await bob.hears("hello", "<img src=x onerror=alert(1)>");
    await bob.at(".say input").pressSequentially("h");
    await becomes(() => ann.at(".typing").innerText(), "Bob is typing …");
    await bob.at(".say input").clear();
    await becomes(() => ann.at(".typing").innerText(), "");
    await bob.at(".log").hover();
    await becomes(() => ann.at(".cursor.shown .label").allInnerTexts(), ["Bob"]);
    // Heard by those who do not see: what others say, and only that.
    expect(await ann.at("#announcer").innerText()).toContain("Bob: <img");
    expect(await ann.at("#announcer").innerText()).not.toContain("hello");
    expect([...ann.complaints, ...bob.complaints]).toEqual([]);
  });

  it("side by side: one is offline, nothing is missing afterwards, what waited arrives", async () => {
    const { page } = new Tab(await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage());
    await page.goto(`${server.url}/?panes=2&room=${room()}`);
    const [ann, bob] = [page.locator(".pane").first(), page.locator(".pane").last()];
    const say = async (pane: typeof ann, text: string) => {
      await pane.locator(".say input").fill(text);
      await pane.getByRole("button", { name: "Send" }).click();
    };
    await becomes(() => ann.locator(".people li").count(), 2);
    await ann.getByRole("switch", { name: "Offline" }).check();
    await say(ann, "from the tunnel");
    await becomes(() => ann.locator(".pending").count(), 1);
    await say(bob, "one");
    await say(bob, "two");
    await becomes(() => bob.locator(".said p").allInnerTexts(), ["one", "two"]);
    // Tries meanwhile, in vain, and says when it tries next.
    await ann.getByText("Connection", { exact: true }).click();
    await becomes(async () => /^in \d+ s, \d failed$/.test(await ann.locator(".f-retries").innerText()), true);
    await ann.getByRole("switch", { name: "Offline" }).uncheck();
    for (const pane of [ann, bob]) {
      await becomes(() => pane.locator(".said p").allInnerTexts(), ["one", "two", "from the tunnel"]);
    }
    expect(await ann.locator(".recovered p").allInnerTexts()).toEqual(["one", "two"]);
    await becomes(() => ann.locator(".f-pending").innerText(), "0");
    expect(await ann.locator(".outbox li").count()).toBe(0);
  });
});

it("offline and back resumes with nothing missing", async () => {
  const [ann, bob] = await pair();
  await ann.say("before");
  await bob.hears("before");
  const session = await ann.session();
  await ann.page.context().setOffline(true);
  // Chromium keeps a WebSocket that is open, silent as the line is: cut it, so that the connection is really lost.
  await ann.at(".cut").click();
  for (const text of ["one", "two", "three"]) await bob.say(text);
  await ann.say("mine");
  await bob.hears("before", "one", "two", "three");
  // At least one try without a network.
  await becomes(async () => (await ann.at(".events").innerText()).includes("no token: Failed to fetch"), true);
  await ann.page.context().setOffline(false);
  await ann.hears("before", "one", "two", "three", "mine");
  await bob.hears("before", "one", "two", "three", "mine");
  expect(await ann.session()).toBe(session);
  expect(await ann.fact("join")).toBe("resumed at 4, 3 recovered");
});

it("a reload resumes: what was said is still there, what was missed is added", async () => {
  const [ann, bob] = await pair();
  await ann.say("one");
  await bob.say("two");
  await becomes(() => ann.at(".said li").count(), 2);
  const session = await ann.session();
  const before = await ann.said();
  // Away for as long as it takes to say something.
  const address = ann.page.url();
  await ann.page.goto(`${server.url}/inspect/icon.svg`);
  await bob.say("missed");
  await becomes(() => bob.at(".said li").count(), 3);
  await ann.page.goto(address);
  await becomes(() => ann.said(), [...before, "3 missed"]);
  await ann.page.reload();
  await becomes(() => ann.fact("join"), "resumed at 3, nothing missed");
  expect(await ann.said()).toEqual([...before, "3 missed"]);
  expect(await ann.session()).toBe(session);
});

it("a duplicated tab gets a session of its own, and both keep chatting", async () => {
  const [ann, bob] = await pair();
  await ann.say("one");
  await bob.hears("one");
  const opened = ann.page.context().waitForEvent("page");
  // Copies sessionStorage, as "Duplicate tab" does.
  await ann.page.evaluate("void window.open(location.href)");
  const twin = new Tab(await opened);
  await becomes(() => twin.fact("join"), "resumed at 1, nothing missed");
  await becomes(() => ann.fact("join"), "new session at 1");
  await Promise.all([ann.isOpen(), twin.isOpen()]);
  const sessions = [await ann.session(), await twin.session()];
  expect(new Set(sessions).size).toBe(2);
  await ann.say("from the first");
  await twin.hears("one", "from the first");
  await twin.say("from the second");
  await bob.say("from bob");
  for (const tab of [ann, twin, bob]) await tab.hears("one", "from the first", "from the second", "from bob");
  // They did not fight over it: the same sessions still, on the first and the second socket.
  expect([await ann.session(), await twin.session()]).toEqual(sessions);
  expect(ann.sockets).toBe(2);
  // One person, not two.
  expect(await bob.at(".people li").count()).toBe(2);
});

it("a hidden tab stays alive over three heartbeats", async () => {
  const { context, stop } = await launchPlain();
  try {
    const where = room();
    const ann = await Tab.open(context, quick.url, where, "Ann");
    await ann.isOpen();
    const bob = await Tab.open(context, quick.url, where, "Bob");
    await bob.page.bringToFront();
    await becomes(() => ann.visibility(), "hidden");
    const [heard, answered] = [ann.received.length, ann.sent.length];
    const heartbeats = () => ann.received.slice(heard).filter((text) => text.includes('"heartbeat"')).length;
    // The room drops a client that leaves two in a row unanswered.
    await becomes(() => heartbeats() >= 4, true);
    expect(ann.sent.slice(answered).filter((text) => text === "ping").length).toBeGreaterThanOrEqual(3);
    await bob.isOpen();
    await bob.say("still there?");
    await ann.hears("still there?");
    expect(await ann.visibility()).toBe("hidden");
    expect(ann.sockets).toBe(1);
    expect(await bob.at(".people li").count()).toBe(2);
  } finally {
    await stop();
  }
});

describe("tokens", () => {
  it("a refused one has one more try with a fresh one, then shows its reason and is not tried again", async () => {
    const ann = await enter("Ann", room(), async ({ page }) => {
      await page.clock.install();
      await page.route("**/dev/token", (route) => route.fulfill({ json: { token: "not.a.token" } }));
    });
    await ann.at(".notice").waitFor();
    expect(await ann.at(".notice").innerText()).toMatch(/unauthorized.*not tried again/);
    expect(await ann.fact("state")).toBe("closed");
    expect(ann.sockets).toBe(2);
    await ann.page.clock.fastForward("02:00:00");
    expect(ann.sockets).toBe(2);
    expect(await ann.fact("retries")).toBe("none");
    // The person may: that is a new try, and refused as well.
    await ann.page.getByRole("button", { name: "Join again" }).click();
    await becomes(() => ann.sockets, 4);
  });

  it("one that runs out is replaced without a new connection", async () => {
    const ann = await enter("Ann", room(), ({ page }) => page.route("**/dev/token", worth(5)));
    await ann.isOpen();
    const session = await ann.session();
    // Three of them last longer than one.
    await becomes(async () => /refreshed [3-9]×$/.test(await ann.fact("token")), true);
    await ann.say("still here");
    await ann.hears("still here");
    expect(ann.sockets, await ann.at(".events").innerText()).toBe(1);
    expect(await ann.session()).toBe(session);
  });

  it("one that runs out unnoticed ends the connection, and the next resumes at once", async () => {
    const ann = await enter("Ann", room(), ({ page }) => page.route("**/dev/token", worth(30)));
    await ann.isOpen();
    await ann.page.unroute("**/dev/token");
    await ann.page.route("**/dev/token", worth(2));
    await ann.page.getByRole("switch", { name: "Let token expire" }).check();
    await becomes(() => ann.fact("join"), "resumed at 0, nothing missed");
    expect(ann.sockets).toBe(2);
    expect(ann.received.some((text) => text.includes('"token_expired"'))).toBe(true);
  });

  it("where the Worker hands out none, a person pastes one", async () => {
    const ann = await enter("Ann", room(), ({ page }) =>
      page.route("**/dev/token", (route) => route.fulfill({ status: 404, json: {} })),
    );
    await ann.page.getByLabel("Token", { exact: true }).fill(await server.token("somebody"));
    await ann.page.getByRole("button", { name: "Use it" }).click();
    await ann.isOpen();
    await ann.say("hello");
    await ann.hears("hello");
    await becomes(() => ann.at(".said .by").allInnerTexts(), ["Somebody"]);
    expect(ann.sockets).toBe(1);
  });
});
