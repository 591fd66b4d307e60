/** What the demo shows and says of itself: what is lost, what it waits for, what its words mean, and its own code. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Server } from "../e2e/server.ts";
import { becomes, launch, Tab } from "./chromium.ts";
import { join, say } from "./inspector.ts";

const server = new Server();
let browser: Browser | undefined;
let rooms = 0;
const room = () => `proof-${++rooms}`;

beforeAll(async () => {
  await server.start();
  browser = await launch();
});
afterAll(() => Promise.all([browser?.close(), server.stop()]));
afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
});

async function tab(prepare?: (page: Page) => Promise<unknown>): Promise<Tab> {
  if (!browser) throw new Error("there is no browser");
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const made = new Tab(await context.newPage());
  await prepare?.(made.page);
  return made;
}

describe("the proof", () => {
  it("P: a room that is killed while a line is down loses nothing, and the page says what a plain socket loses", async () => {
    const { page, complaints } = await tab();
    await page.goto(`${server.url}/?panes=2&room=${room()}`);
    const [ann, bob] = [page.locator(".pane").first(), page.locator(".pane").last()];
    const sayAs = async (pane: typeof ann, ...texts: string[]) => {
      for (const text of texts) {
        await pane.locator(".say input").fill(text);
        await pane.getByRole("button", { name: "Send" }).click();
      }
    };
    const proof = (pane: typeof ann) => pane.locator(".proof dd").allInnerTexts();
    await becomes(() => ann.locator(".people li").count(), 2);
    expect(await proof(ann)).toEqual(["0", "0", "0", "intact", "0"]);
    await ann.getByRole("switch", { name: "Offline" }).check();
    await sayAs(bob, "one", "two", "three");
    await becomes(() => bob.locator(".said p").count(), 3);
    await bob.getByRole("button", { name: "Kill the room" }).click();
    // The object is gone, and with it the connection.
    await becomes(async () => /^resumed at \d/.test((await bob.locator(".f-join").textContent()) ?? ""), true);
    await sayAs(ann, "mine");
    await ann.getByRole("switch", { name: "Offline" }).uncheck();
    for (const pane of [ann, bob]) {
      await becomes(() => pane.locator(".said p").allInnerTexts(), ["one", "two", "three", "mine"]);
    }
    // Sent, received, lost, order; and what a plain socket loses: three that she missed, one that she said meanwhile.
    await becomes(() => proof(ann), ["1", "4", "0", "intact", "4"]);
    await becomes(() => proof(bob), ["3", "4", "0", "intact", "0"]);
    expect(complaints.filter((text) => !text.includes("WebSocket"))).toEqual([]);
  });

  it("P: a message that never comes counts as lost, and one out of turn as that", async () => {
    const where = room();
    const ann = await tab();
    await ann.goto(server.url, where, "Ann");
    await ann.isOpen();
    const peer = await join(server, where, await server.token("sender"));
    const numbered = (n: number) => ({ text: `number ${n}`, run: "sender", n });
    await say(peer, numbered(1), numbered(2));
    await becomes(() => ann.at(".proof dd").allInnerTexts(), ["0", "2", "0", "intact", "0"]);
    await say(peer, numbered(5), numbered(4));
    await becomes(() => ann.at(".proof dd").allInnerTexts(), ["0", "4", "2", "1 out of turn", "0"]);
    peer.socket.close();
  });

  it("P: somebody who talks by themselves is cut, and every number arrives once and in order", async () => {
    const where = room();
    const [ann, bob] = [await tab(), await tab()];
    await ann.goto(server.url, where, "Ann");
    await bob.goto(server.url, where, "Bob");
    await bob.isOpen();
    await ann.isOpen();
    await ann.page.getByRole("switch", { name: "Talk" }).check();
    await becomes(async () => Number(await bob.at(".p-received").innerText()) >= 3, true);
    await ann.page.getByRole("button", { name: "Cut the line" }).click();
    await bob.page.getByRole("button", { name: "Cut the line" }).click();
    await becomes(async () => Number(await bob.at(".p-received").innerText()) >= 8, true);
    await ann.page.getByRole("switch", { name: "Talk" }).uncheck();
    await becomes(
      async () => (await ann.at(".p-sent").innerText()) === (await bob.at(".p-received").innerText()),
      true,
    );
    const texts = await bob.at(".said p").allInnerTexts();
    expect(texts).toEqual(texts.map((_, i) => String(i + 1)));
    expect(await bob.at(".proof .p-lost, .proof .p-order").allInnerTexts()).toEqual(["0", "intact"]);
  });
});

describe("while it loads", () => {
  it("P: the first paint says so, and what could not be loaded is named", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const ann = await tab((page) =>
      page.route("**/demo/main.js", async (route) => {
        await held;
        await route.continue();
      }),
    );
    void ann.page.goto(`${server.url}/?room=${room()}&name=Ann`);
    await ann.at("#loading").waitFor();
    expect(await ann.at("#loading").innerText()).toContain("Loading");
    expect(await ann.at(".pane").count()).toBe(0);
    release();
    await ann.isOpen();
    expect(await ann.at("#loading").count()).toBe(0);
    expect(ann.complaints).toEqual([]);

    const lost = await tab((page) => page.route("**/demo/main.js", (route) => route.abort()));
    await lost.page.goto(`${server.url}/?room=${room()}&name=Ann`);
    await becomes(
      () => lost.at("#loading p").innerText(),
      expect.stringContaining("/demo/main.js could not be loaded"),
    );
  });

  it("P: a person who joins sees what is waited for, and not an empty room", async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => (release = resolve));
    const ann = await tab((page) =>
      page.route("**/dev/token", async (route) => {
        await held;
        await route.continue();
      }),
    );
    await ann.page.goto(`${server.url}/?room=${room()}&name=Ann`);
    await becomes(() => ann.at(".empty").innerText(), "Getting a token …");
    expect(await ann.at(".phase").innerText()).toBe("Getting a token");
    release();
    await becomes(() => ann.at(".empty").innerText(), "Nobody has said anything yet.");
  });
});

describe("what it says of itself", () => {
  it("T30: the inspector, the documents and the code are a link away, and every link leads somewhere", async () => {
    const where = room();
    const ann = await tab();
    await ann.goto(server.url, where, "Ann");
    await ann.isOpen();
    const links = await ann.page.evaluate<string[]>("Array.from(document.links, ({ href }) => href)");
    const names = links.map((link) => link.replace(`${server.url}/`, ""));
    expect(names).toEqual(
      expect.arrayContaining([`inspect/#room/${where}`, "docs/", "demo/pane.js", "edgerooms.js", "openapi.json"]),
    );
    for (const link of new Set(links)) {
      const response = await fetch(link);
      expect([link, response.status]).toEqual([link, 200]);
      if (link.endsWith("#words")) expect(await ann.at("#words").count()).toBe(1);
      await response.body?.cancel();
    }
    await ann.page.goto(`${server.url}/docs/`);
    const documents = await ann.page.evaluate<string[]>("Array.from(document.links, ({ href }) => href)");
    expect(documents.length).toBeGreaterThan(5);
    for (const document of documents) expect([document, (await fetch(document)).status]).toEqual([document, 200]);
  });

  it("T23: its headers are for its own pages, which nobody may frame", async () => {
    const policy = async (path: string) => (await fetch(server.url + path)).headers.get("content-security-policy");
    expect(await policy("/")).toMatch(/script-src 'self'.*frame-ancestors 'none'.*require-trusted-types-for/);
    expect(await policy("/inspect/")).toBe("frame-ancestors 'none'");
    expect(await policy("/docs/")).toContain("default-src 'none'");
    for (const path of ["/edgerooms.js", "/of-your-own.html"]) expect([path, await policy(path)]).toEqual([path, null]);
  });

  it("T30: the code on the page is a chat", async () => {
    const where = room();
    const page = await tab();
    await page.page.goto(server.url);
    const code = await page.at("#sample").innerText();
    expect(code.split("\n").length).toBeLessThan(25);
    const bob = await join(server, where, await server.token("bob"));
    await say(bob, { text: "from before" });
    // A page of this origin, without a policy against scripts in it.
    await page.page.goto(`${server.url}/openapi.json`);
    const script = JSON.stringify(code.replace("lobby", where));
    await page.page.evaluate(`{
      document.body.innerHTML = "<form><input name=text></form><output></output>";
      document.body.append(Object.assign(document.createElement("script"), { type: "module", textContent: ${script} }));
    }`);
    await becomes(() => page.at("output").textContent(), "bob: from before\n");
    await page.at("input").fill("hello");
    await page.page.keyboard.press("Enter");
    await becomes(() => page.at("output").textContent(), "bob: from before\nann: hello\n");
    bob.socket.close();
  });

  it("T30: session, offset, last join and grace are explained where they stand, and for those without a mouse", async () => {
    const ann = await tab();
    await ann.goto(server.url, room(), "Ann");
    const explained = await ann.at(".panel abbr[title]").allInnerTexts();
    expect(explained).toEqual(expect.arrayContaining(["Session", "Offset", "Last join", "grace"]));
    const words = await ann.at(".words-list dt").allInnerTexts();
    expect(words).toEqual(expect.arrayContaining(["Session", "Offset", "Last join", "Grace"]));
  });

  it("T30: what failed reads as when it is tried next, and can be tried at once", async () => {
    const ann = await tab((page) => page.clock.install());
    await ann.goto(server.url, room(), "Ann");
    await ann.page.clock.runFor(500);
    await ann.isOpen();
    await ann.page.route("**/dev/token", (route) => route.abort());
    await ann.page.getByRole("button", { name: "Cut the line" }).click();
    const next = () => ann.fact("retries");
    await becomes(async () => {
      await ann.page.clock.runFor(5_000);
      return /^in \d+ (?:s|min), too many failed$/.test(await next());
    }, true);
    expect(await ann.at(".status").innerText()).toMatch(/^Pausing, next try\sin\s\d+/);
    await ann.page.unroute("**/dev/token");
    await ann.page.getByRole("button", { name: "Try now" }).click();
    await becomes(async () => {
      await ann.page.clock.runFor(300);
      return next();
    }, "not needed");
  });
});
