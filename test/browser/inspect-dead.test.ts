/** What the inspector shows of events that could not be delivered, and what a person on call does about them there. */
import axe from "axe-core";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Server } from "../e2e/server.ts";
import { becomes, launch, type Tab } from "./chromium.ts";
import { inspector, overflow } from "./inspector.ts";

const server = new Server();
let browser: Browser | undefined;

beforeAll(async () => {
  await server.start();
  browser = await launch();
});
afterAll(() => Promise.all([browser?.close(), server.stop()]));
afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
});

const WHERE = "held";
const told = (tab: Tab) => tab.at("#told").innerText();
/** What a stranger would like to have run, or to turn the text around it. */
const HOSTILE = `<img src=x onerror="document.title='owned'">\u202e\u0007`;

const STATS = {
  kind: "room",
  room: WHERE,
  epoch: "e",
  offset: 0,
  oldest: 1,
  members: 1,
  sessions: 1,
  connections: 1,
  counts: {},
};

/** A room with dead letters as the API tells of it, and what was asked of it. */
class HeldUp {
  dead: string[];
  stuck = true;
  readonly asked: [string, unknown][] = [];
  /** Of the next order. */
  refusal: object | undefined;

  constructor(dead: readonly string[]) {
    this.dead = [...dead];
  }

  async serve({ page }: Tab): Promise<void> {
    await page.route(`**/rooms/room/${WHERE}/**`, async (route) => {
      const path = new URL(route.request().url()).pathname.split("/").at(-1) ?? "";
      const json =
        route.request().method() === "POST" ? this.#order(path, route.request().postDataJSON()) : this.#see(path);
      const { status = 200 } = json as { status?: number };
      await route.fulfill({ status, json });
    });
  }

  #see(path: string): object {
    const letter = { at: Date.now(), tries: 20, error: "outlet_refused", events: 3 };
    const pending = this.stuck ? 4 : 0;
    switch (path) {
      case "stats":
        return {
          ...STATS,
          outbox: { pending, dead: this.dead.length, tries: this.stuck ? 5 : 0 },
        };
      case "dead-letters": {
        const stuck = { id: "holds-up", at: Date.now(), tries: 5, events: 1, nextTry: Date.now() + 60_000 };
        return { dead: this.dead.map((id) => ({ ...letter, id })), ...(this.stuck && { stuck }) };
      }
      case "dead-letter":
        return { ...letter, id: this.dead[0], events: [{ id: "1", type: "join", at: 1, member: { id: HOSTILE } }] };
      case "sessions":
        return { sessions: [] };
      case "members":
        return { members: [] };
      default:
        return { epoch: "e", oldest: 1, offset: 0, items: [] };
    }
  }

  #order(path: string, body: unknown): object {
    this.asked.push([path, body]);
    if (this.refusal) return this.refusal;
    const { batch } = (body ?? {}) as { batch?: string };
    const before = this.dead.length;
    if (path === "skip") {
      this.stuck = false;
      this.dead.push("holds-up");
      return { pending: 3, dead: this.dead.length };
    }
    this.dead = batch === undefined ? [] : this.dead.filter((id) => id !== batch);
    const gone = before - this.dead.length;
    return path === "drop" ? { dropped: gone, dead: this.dead.length } : { pending: 4, redelivered: gone };
  }
}

async function look(room: HeldUp, options: BrowserContextOptions = {}): Promise<Tab> {
  const prepare = (tab: Tab) => room.serve(tab);
  const tab = await inspector(browser, { of: server, at: `#room/${WHERE}`, prepare, options });
  await becomes(() => tab.at(".dead tbody tr").count(), Math.min(100, room.dead.length));
  return tab;
}

const button = (tab: Tab, name: string) => tab.at(".dead").getByRole("button", { name, exact: true });
/** What confirms the question that is open. */
const yes = (tab: Tab) => tab.at(".dead form:not([hidden]) button[type=submit]");

it("E6: dead letters are delivered again one by one or all, after a question, and what came of it is said", async () => {
  const room = new HeldUp(["a", "b", "c"]);
  const tab = await look(room);
  await button(tab, "Redeliver b").click();
  expect(await tab.at(".dead form:not([hidden]) .question").innerText()).toBe("Deliver it again?");
  expect(room.asked).toEqual([]);
  await yes(tab).click();
  await becomes(() => told(tab), "1 dead letter of room/held on the way again.");
  await becomes(() => tab.at(".dead tbody code").allInnerTexts(), ["a", "c"]);
  await button(tab, "Redeliver all").click();
  await yes(tab).click();
  await becomes(() => told(tab), "2 dead letters of room/held on the way again.");
  expect(room.asked).toEqual([
    ["redeliver", { batch: "b" }],
    ["redeliver", null],
  ]);
  // The batch that holds up the others is still to be seen.
  await becomes(() => tab.at(".dead .scroll").isVisible(), false);
  expect(await tab.at(".dead .held").isVisible()).toBe(true);
  expect(tab.complaints).toEqual([]);
});

it("E6: one dead letter or all are forgotten for good, and nothing is forgotten when the question is not confirmed", async () => {
  const room = new HeldUp(["a", "b", "c"]);
  const tab = await look(room);
  await button(tab, "Drop a").click();
  expect(await tab.at(".dead form:not([hidden]) .question").innerText()).toBe(
    "Forget 3 events for good? Nothing brings them back.",
  );
  await tab.page.keyboard.press("Escape");
  await button(tab, "Drop all").click();
  await tab.at(".dead form:not([hidden])").getByRole("button", { name: "Cancel" }).click();
  expect(room.asked).toEqual([]);
  await button(tab, "Drop a").click();
  await yes(tab).click();
  await becomes(() => told(tab), "Dropped 1 dead letter of room/held for good: 2 left.");
  await button(tab, "Drop all").click();
  await yes(tab).click();
  await becomes(() => told(tab), "Dropped 2 dead letters of room/held for good: 0 left.");
  expect(room.asked).toEqual([
    ["drop", { batch: "a" }],
    ["drop", { all: true }],
  ]);
  expect(tab.complaints).toEqual([]);
});

it("E6: the batch that holds up the others is shown, and set aside after a question", async () => {
  const room = new HeldUp([]);
  const tab = await look(room);
  await becomes(
    async () =>
      /^Held up by holds-up: 1 event, failed 5 times, next try in \d+ s\.$/.test(await tab.at(".why").innerText()),
    true,
  );
  expect(await button(tab, "Drop all").isVisible()).toBe(false);
  await button(tab, "Skip").click();
  expect(room.asked).toEqual([]);
  await yes(tab).click();
  await becomes(() => told(tab), "Skipped a batch of room/held: 3 pending, 1 dead letter now.");
  expect(room.asked).toEqual([["skip", { batch: "holds-up" }]]);
  await becomes(() => tab.at(".dead tbody code").allInnerTexts(), ["holds-up"]);
  expect(await tab.at(".held").isVisible()).toBe(false);
  expect(tab.complaints).toEqual([]);
});

it("E6: what the room refuses is said, and the letter stays", async () => {
  const room = new HeldUp(["a"]);
  const tab = await look(room);
  room.refusal = { status: 404, code: "not_found", title: "There is no such thing.", requestId: "r-1" };
  await button(tab, "Drop a").click();
  await yes(tab).click();
  await becomes(
    async () => (await tab.at("#trouble").innerText()).startsWith("Drop: There is no such thing. (HTTP 404 not_found)"),
    true,
  );
  expect(await told(tab)).toBe("");
  expect(await tab.at(".dead tbody tr").count()).toBe(1);
});

it("E6: a dead letter opens to its events, in which nothing runs and nothing is hidden", async () => {
  const tab = await look(new HeldUp(["a"]));
  await tab.at(".dead summary").click();
  const text = () => tab.at(".dead pre").innerText();
  await becomes(async () => (await text()).includes("onerror="), true);
  expect(await text()).toContain("\\u202e");
  expect(await tab.at(".dead img").count()).toBe(0);
  expect(await tab.page.title()).toBe("room/held – Inspector – edgerooms");
  expect(tab.complaints).toEqual([]);
});

it("E6: a thousand dead letters are pages, and one tab stop", async () => {
  const room = new HeldUp(Array.from({ length: 1_000 }, (_, n) => `letter-${n}`));
  const tab = await look(room);
  expect(await tab.at(".dead .pager").innerText()).toContain("1,000");
  const stops = `[...document.querySelectorAll(".dead tbody :is(summary, button)")].filter(({ tabIndex, offsetParent }) => tabIndex === 0 && offsetParent).length`;
  await becomes(() => tab.page.evaluate<number>(stops), 1);
  // By keyboard alone: from the first letter to its second button, and through its question.
  await tab.at(".dead summary").first().focus();
  await tab.page.keyboard.press("ArrowDown");
  await tab.page.keyboard.press("ArrowDown");
  await tab.page.keyboard.press("Enter");
  await tab.page.keyboard.press("Enter");
  await becomes(() => told(tab), "Dropped 1 dead letter of room/held for good: 999 left.");
  expect(room.asked).toEqual([["drop", { batch: "letter-0" }]]);
});

it.each([
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["on a phone", { viewport: { width: 375, height: 700 } }],
] as const)("P: axe-core finds nothing wrong with undelivered events: %s", async (_, options) => {
  const tab = await look(new HeldUp(["a", "b".repeat(64)]), options);
  await tab.at(".dead summary").first().click();
  await button(tab, "Drop a").click();
  await tab.page.evaluate(axe.source);
  const { violations } = await tab.page.evaluate<axe.AxeResults>("axe.run()");
  expect(violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`))).toEqual([]);
  expect(await overflow(tab)).toBeLessThanOrEqual(0);
});

it("E6: rooms with undelivered events are listed, also those that nobody is in", async () => {
  const json = (dead: boolean) => ({
    rooms: [
      dead
        ? { kind: "room", room: "left", connections: 0, members: 0, sessions: 0, offset: 4, at: Date.now(), dead: 2 }
        : { kind: "room", room: "live", connections: 1, members: 1, sessions: 1, offset: 1, at: Date.now() },
    ],
  });
  const tab = await inspector(browser, {
    of: server,
    prepare: ({ page }) =>
      page.route(/\/rooms(?:\?|$)/, (route) =>
        route.fulfill({ json: json(new URL(route.request().url()).searchParams.get("dead") === "1") }),
      ),
  });
  const names = () => tab.at("#rooms tbody a").allInnerTexts();
  await becomes(names, ["room/live"]);
  await tab.page.getByRole("checkbox", { name: "With undelivered events" }).check();
  await becomes(names, ["room/left 2 dead"]);
  expect(await tab.at("#rooms h2").innerText()).toBe("Rooms with undelivered events");
  await tab.page.getByRole("checkbox", { name: "With undelivered events" }).uncheck();
  await becomes(names, ["room/live"]);
  expect(tab.complaints).toEqual([]);
});
