/** What the inspector shows of a large room: its relays and what they come to, and members and sessions page by page. */
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Peer } from "../e2e/peer.ts";
import { Server } from "../e2e/server.ts";
import { becomes, launch, violations, type Tab } from "./chromium.ts";
import { inspector, overflow, sessionsOf, type Look } from "./inspector.ts";

/** Large rooms have relays from their third connection on, three connections at each. */
const server = new Server(["--config", join(import.meta.dirname, "large.toml")]);
const peers: Peer[] = [];
let browser: Browser | undefined;
let rooms = 0;
const inspect = (look: Partial<Look>) => inspector(browser, { of: server, ...look });

/** A room with so many members: u0, u1, ... */
async function filled(count: number): Promise<string> {
  const where = `large/inspected-${++rooms}`;
  for (let i = 0; i < count; i++) {
    const peer = new Peer(server.url, where, await server.token(`u${i}`, { "*": ["join"] }));
    peers.push(peer);
    await peer.next("welcome");
  }
  return where;
}

/** The numbers of a room that is only told of. */
const STATS = {
  kind: "large",
  room: "told",
  epoch: "e",
  offset: 0,
  oldest: 1,
  members: 2,
  sessions: 2,
  connections: 2,
  counts: {},
};

beforeAll(async () => {
  await server.start();
  browser = await launch();
});
afterAll(() => Promise.all([browser?.close(), server.stop()]));
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.socket.close();
  for (const context of browser?.contexts() ?? []) await context.close();
});

const rowsOf = async (tab: Tab) =>
  (await tab.at(".relays tbody tr").allInnerTexts()).map((text) => text.split(/\s+/).slice(0, 4).join(" "));
/** Without what the test leaves out on purpose: this server has no directory. */
const complaintsOf = (tab: Tab) => tab.complaints.filter((text) => !text.includes("404"));

describe("relays", () => {
  it("are a table, with sums by region, and sessions say at which they are", async () => {
    const where = await filled(6);
    const tab = await inspect({ at: `#${where}` });
    await becomes(async () => (await rowsOf(tab)).length, 2);
    // Where it runs decides what the region is.
    const region = await tab.at(".relays tbody td[data-label='Region']").first().innerText();
    await becomes(() => rowsOf(tab), [`${region}/0 ${region} 3 0`, `${region}/1 ${region} 1 0`]);
    expect(await tab.at(".relays .much").innerText()).toBe("4 at 2 relays, 2 with the room itself");
    await becomes(async () => (await tab.at(".regions").innerText()).split(/\s+/).join(" "), `${region} 4 2 relays`);
    await becomes(() => tab.at(".f-connections").innerText(), "6");
    await becomes(() => sessionsOf(tab).count(), 6);
    expect(await tab.at(".sessions .pill").allInnerTexts()).toEqual([
      ...Array<string>(2).fill("connected"),
      ...Array<string>(3).fill(`at ${region}/0`),
      `at ${region}/1`,
    ]);
    expect(await tab.at(".sessions .much").innerText()).toBe("2 connected, 4 at relays, 0 dropped");
    expect(await tab.at(".further").filter({ visible: true }).count()).toBe(0);
    expect(complaintsOf(tab)).toEqual([]);
  });

  it("of a room that has none are not there", async () => {
    const where = await filled(1);
    const tab = await inspect({ at: `#${where}` });
    await becomes(() => sessionsOf(tab).count(), 1);
    expect(await tab.at(".relays").isVisible()).toBe(false);
    expect(complaintsOf(tab)).toEqual([]);
  });

  it("that are far behind, and those that were not heard, stand out; many are by pages", async () => {
    const where = await filled(1);
    const relays = Array.from({ length: 120 }, (_, i) => ({
      name: `${where}/eu/${i}`,
      region: "eu",
      connections: 1_000,
      ...(i === 0 && { lag: 1_024, heardAt: Date.now() }),
      ...(i === 1 && { lag: 1_023 }),
    }));
    const regions = { eu: { relays: 120, connections: 120_000 } };
    const tab = await inspect({
      at: `#${where}`,
      prepare: ({ page }) =>
        page.route("**/stats", (route) =>
          route.fulfill({ json: { ...STATS, connections: 120_001, direct: 1, relays, regions } }),
        ),
    });
    await becomes(() => tab.at(".relays tbody tr").count(), 100);
    const cells = (label: string) => tab.at(`.relays td[data-label='${label}']`);
    expect((await cells("Lag").allInnerTexts()).slice(0, 3)).toEqual(["1,024", "1,023", "–"]);
    expect(await tab.at(".relays td.warn").allInnerTexts()).toEqual(["1,024"]);
    expect((await cells("Last heard").allInnerTexts()).slice(1, 3)).toEqual(["not yet", "not yet"]);
    await tab.page.getByRole("button", { name: "Later relays" }).click();
    await becomes(() => tab.at(".relays tbody tr").count(), 20);
    expect((await rowsOf(tab)).at(-1)).toBe("eu/119 eu 1,000 –");
  });
});

describe("lists of a large room", () => {
  it("are read page by page, there and back, and say that they are parts", async () => {
    const where = await filled(1);
    const asked: string[] = [];
    const member = (id: string) => ({ id });
    const session = (user: string) => ({ session: `s-${user}`, user, relay: `${where}/eu/7`, present: true });
    const tab = await inspect({
      at: `#${where}`,
      prepare: async ({ page }) => {
        await page.route(/\/members(\?|$)/, async (route) => {
          const after = new URL(route.request().url()).searchParams.get("after");
          asked.push(after ?? "");
          const json = after === "a b" ? { members: [member("c")] } : { members: [member("a b")], next: "a b" };
          await route.fulfill({ json });
        });
        await page.route(/\/sessions(\?|$)/, async (route) => {
          const after = new URL(route.request().url()).searchParams.get("after");
          const json = after === "s-a.a" ? { sessions: [session("b")] } : { sessions: [session("a")], next: "s-a.a" };
          await route.fulfill({ json });
        });
        await page.route("**/stats", (route) => route.fulfill({ json: STATS }));
      },
    });
    const names = () => tab.at(".members li strong").allInnerTexts();
    await becomes(names, ["a b"]);
    await becomes(() => tab.at(".members .much").innerText(), "1 of 2 members");
    const button = (name: string) => tab.page.getByRole("button", { name });
    expect(await button("First members").isDisabled()).toBe(true);
    await button("More members").click();
    await becomes(names, ["c"]);
    expect(await button("More members").isDisabled()).toBe(true);
    await tab.page.getByLabel("Find a user in this room").fill("a b");
    await becomes(() => tab.at(".members .empty").innerText(), "No member of this part is called that.");
    await tab.page.getByLabel("Find a user in this room").fill("");
    await button("First members").click();
    await becomes(names, ["a b"]);
    expect(new Set(asked)).toEqual(new Set(["", "a b"]));

    await becomes(() => tab.at(".sessions .much").innerText(), "0 connected, 1 at relays, 0 dropped, a part of 2");
    await button("More connections").click();
    await becomes(() => tab.at(".sessions .who strong").allInnerTexts(), ["b"]);
    expect(complaintsOf(tab)).toEqual([]);
  });
});

describe.each(["light", "dark"] as const)("%s", (colorScheme) => {
  it.each([1280, 375])(
    "axe-core finds nothing wrong with a large room, %d pixels wide, and nothing is cut off",
    async (width) => {
      const where = await filled(6);
      const tab = await inspect({ at: `#${where}`, options: { colorScheme, viewport: { width, height: 900 } } });
      await becomes(() => tab.at(".relays tbody tr").count(), 2);
      await becomes(() => sessionsOf(tab).count(), 6);
      expect(await violations(tab)).toEqual([]);
      expect(await overflow(tab)).toBeLessThanOrEqual(0);
    },
  );
});
