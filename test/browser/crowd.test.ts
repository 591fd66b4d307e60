/** The demo and the inspector with 300 members in the room, and the demo on a phone: what is where on the screen. */
import type { Browser, BrowserContextOptions, Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Peer } from "../e2e/peer.ts";
import { Server } from "../e2e/server.ts";
import { becomes, launch, Tab } from "./chromium.ts";
import { join, say, signed } from "./inspector.ts";

const PHONE: BrowserContextOptions = { viewport: { width: 375, height: 667 }, isMobile: true, hasTouch: true };
const ON_ITS_SIDE: BrowserContextOptions = { ...PHONE, viewport: { width: 667, height: 375 } };
const DESKTOP: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const CROWDED = "crowd";

const server = new Server();
let crowd: Peer[] = [];
let browser: Browser | undefined;

beforeAll(async () => {
  await server.start();
  browser = await launch();
  const numbers = Array.from({ length: 300 }, (_, i) => i);
  crowd = await Promise.all(
    numbers.map(async (i) => {
      const name = i % 7 === 0 ? "Maximiliane von und zu Hohenlohe-Langenburg" : `Name ${i}`;
      return join(server, CROWDED, await signed(server, { sub: `user-${i}-abcd`, name }));
    }),
  );
  for (const peer of crowd.slice(0, 12)) peer.send({ type: "presence", data: { typing: true } });
  await say(crowd[0], ...Array.from({ length: 60 }, (_, i) => ({ text: `line ${i}` })));
});
afterAll(async () => {
  for (const peer of crowd) peer.socket.close();
  await Promise.all([browser?.close(), server.stop()]);
});
afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
});

async function open(path: string, options: BrowserContextOptions): Promise<Tab> {
  if (!browser) throw new Error("there is no browser");
  const tab = new Tab(await (await browser.newContext(options)).newPage());
  await tab.page.goto(`${server.url}/${path}`);
  return tab;
}

/** Whether all of it is on the screen, which has not been scrolled, and its middle is under nothing else. */
async function isOnScreen(tab: Tab, element: Locator, selector: string): Promise<boolean> {
  const box = await element.boundingBox();
  const { width, height } = tab.page.viewportSize() ?? { width: 0, height: 0 };
  expect(await tab.page.evaluate("scrollY")).toBe(0);
  if (!box || box.x < 0 || box.y < 0 || box.x + box.width > width || box.y + box.height > height) return false;
  const at = `${box.x + box.width / 2}, ${box.y + box.height / 2}`;
  return tab.page.evaluate<boolean>(`document.elementFromPoint(${at})?.closest(${JSON.stringify(selector)}) != null`);
}

const sideways = (tab: Tab) => tab.page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");

describe("300 members", () => {
  it.each([
    ["on a desktop", DESKTOP],
    ["on a phone", PHONE],
    ["on a phone on its side", ON_ITS_SIDE],
  ])("P: log, composer and buttons stay in their place %s", async (_, options) => {
    const eva = await open(`?room=${CROWDED}&name=Eva`, options);
    await becomes(() => eva.at(".here").innerText(), expect.stringMatching(/^30\d here$/));
    expect(await eva.at(".people li").count()).toBe(25);
    expect(await eva.at(".people .rest").innerText()).toMatch(/^and 27\d more$/);
    await becomes(() => eva.at(".typing").innerText(), "12 people are typing …");
    for (const element of [".log", ".say input", ".say button", ".cut", ".kill"]) {
      expect([element, await isOnScreen(eva, eva.at(element), element)]).toEqual([element, true]);
    }
    expect(await isOnScreen(eva, eva.at(".said li").last(), ".said li")).toBe(true);
    expect((await eva.at(".present").boundingBox())?.height).toBeLessThan(60);
    expect(await sideways(eva)).toBe(0);
    expect(eva.complaints).toEqual([]);
  });

  it("P: the inspector shows them by pages, finds one, and has as few tab stops as for three", async () => {
    const tab = await open(`inspect/#room/${CROWDED}`, DESKTOP);
    await becomes(() => tab.at(".sessions .pager").innerText(), expect.stringMatching(/1 to 100 of 30\d/));
    expect(await tab.at(".sessions tbody tr").count()).toBe(100);
    const later = tab.page.getByRole("button", { name: "Later connections" });
    await later.click();
    await later.click();
    await later.click();
    expect(await tab.at(".sessions .pager").innerText()).toMatch(/^←\s*301 to 30\d of 30\d/);
    expect(await later.isDisabled()).toBe(true);
    await tab.page.getByRole("button", { name: "Later members" }).click();
    expect(await tab.at(".members .pager").innerText()).toMatch(/101 to 200 of 30\d/);

    await tab.page.getByLabel("Find a user in this room").fill("user-299-");
    await becomes(() => tab.at(".sessions tbody .who").allInnerTexts(), ["Name 299\nuser-299-abcd"]);
    expect(await tab.at(".members li strong").allInnerTexts()).toEqual(["Name 299"]);
    expect(await tab.at(".members .much").innerText()).toMatch(/^1 of 30\d$/);
    await tab.page.getByLabel("Find a user in this room").fill("no such user");
    await becomes(
      () => tab.at(".sessions .empty").innerText(),
      expect.stringMatching(/^None of 30\d has “no such user”/),
    );

    await tab.page.getByLabel("Find a user in this room").fill("");
    await becomes(() => tab.at(".sessions tbody tr").count(), 100);
    const stops = "Array.from(document.querySelectorAll('a, button, input, select, summary, [tabindex]'))";
    const counted = `${stops}.filter((e) => e.tabIndex >= 0 && !e.disabled && e.checkVisibility()).length`;
    expect(await tab.page.evaluate<number>(counted)).toBeLessThan(45);
    // Arrows go from row to row.
    const kick = tab.at(".sessions .confirmed > button");
    await kick.first().focus();
    await tab.page.keyboard.press("ArrowDown");
    await tab.page.keyboard.press("ArrowDown");
    const focused = "document.activeElement.getAttribute('aria-label')";
    expect(await tab.page.evaluate(focused)).toBe(await kick.nth(2).getAttribute("aria-label"));
    await tab.page.keyboard.press("End");
    expect(await tab.page.evaluate(focused)).toBe(await kick.last().getAttribute("aria-label"));
    expect(tab.complaints).toEqual([]);
  });
});

describe("a phone", () => {
  it.each([
    ["upright", PHONE],
    ["on its side", ON_ITS_SIDE],
  ])("T30: held %s shows both people at once, each with what was said last", async (way, options) => {
    const tab = await open(`?panes=2&room=both-${way.replaceAll(" ", "-")}`, options);
    const panes = [tab.at(".pane").first(), tab.at(".pane").last()];
    for (const pane of panes) await pane.and(tab.at('[data-state="open"]')).waitFor();
    const texts = Array.from({ length: 12 }, (_, i) => `line ${i}`);
    for (const text of texts) {
      await panes[0]?.locator(".say input").fill(text);
      await tab.page.keyboard.press("Enter");
    }
    for (const pane of panes) {
      await becomes(() => pane.locator(".said li").count(), 12);
      for (const part of [".say input", ".cut", ".kill", ".proof"]) {
        expect([part, await isOnScreen(tab, pane.locator(part), part)]).toEqual([part, true]);
      }
      await becomes(() => isOnScreen(tab, pane.locator(".said li").last(), ".said li"), true);
    }
    // The logs scroll, the page does not have to.
    const scrolled = "Array.from(document.querySelectorAll('.log'), (log) => log.scrollHeight > log.clientHeight)";
    expect(await tab.page.evaluate(scrolled)).toEqual([true, true]);
    expect(await sideways(tab)).toBe(0);
  });
});
