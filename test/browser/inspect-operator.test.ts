/** What the inspector shows to the person on call when something is wrong, and whom it finds and ends. */
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { connect, memoryStore } from "../../src/client/client.ts";
import { CREDIT_ITEMS } from "../../src/room/rules/connection.ts";
import { Peer } from "../e2e/peer.ts";
import { Server } from "../e2e/server.ts";
import { becomes, launch, type Tab } from "./chromium.ts";
import { inspector, join, say, sessionsOf, type Look } from "./inspector.ts";

const server = new Server();
const peers: Peer[] = [];
let browser: Browser | undefined;
let rooms = 0;
const room = () => `operated-${++rooms}`;
const inspect = (look: Partial<Look> = {}) => inspector(browser, { of: server, ...look });
async function member(where: string, user: string): Promise<Peer> {
  const peer = await join(server, where, await server.token(user));
  peers.push(peer);
  return peer;
}

beforeAll(async () => {
  await server.start();
  browser = await launch();
});
afterAll(() => Promise.all([browser?.close(), server.stop()]));
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.socket.close();
  for (const context of browser?.contexts() ?? []) await context.close();
});

const told = (tab: Tab) => tab.at("#told").innerText();

describe("a user", () => {
  it("P: is found in every live room, and kicked in one of them after a confirmation", async () => {
    const [first, second] = [room(), room()];
    const here = await member(first, "wanted-ann");
    const there = await member(second, "wanted-ann");
    const other = await member(second, "bob");
    const tab = await inspect();
    await becomes(async () => (await tab.at("#rooms tbody a").allInnerTexts()).includes(`room/${second}`), true);
    await tab.page.getByLabel("Id or name of a user").fill("WANTED");
    await tab.page.keyboard.press("Enter");
    await becomes(
      async () => /^2 found\. Asked (\d+) of \1 live rooms\.$/.test(await tab.at(".result").innerText()),
      true,
    );
    const hit = tab.at(".found li").filter({ hasText: second });
    await hit.getByRole("button", { name: "Kick wanted-ann" }).click();
    expect(there.closed).toBeUndefined();
    await hit.getByRole("button", { name: "Kick", exact: true }).click();
    expect(await there.next("bye")).toMatchObject({ reason: "kicked" });
    await becomes(() => told(tab), `Kicked wanted-ann in room/${second}: 1 session is over.`);
    expect([here, other].some(({ frames }) => frames.some(({ type }) => type === "bye"))).toBe(false);

    // The link opens the room with only that user in it.
    await tab.at(".found li").filter({ hasText: first }).getByRole("link").click();
    await becomes(() => tab.at(".title").innerText(), `room/${first}`);
    expect(await tab.page.getByLabel("Find a user in this room").inputValue()).toBe("wanted-ann");
    await becomes(() => sessionsOf(tab).count(), 1);
    expect(tab.complaints).toEqual([]);
  });

  it("P: is said not to be in any room that was asked", async () => {
    const tab = await inspect();
    await tab.page.getByLabel("Id or name of a user").fill("nobody at all");
    await tab.page.keyboard.press("Enter");
    await becomes(
      async () => /^Not found\. Asked \d+ of \d+ live rooms\.$/.test(await tab.at(".result").innerText()),
      true,
    );
  });

  it("P: is kicked with every session, and revoked by id, where they stand in the list or not", async () => {
    const where = room();
    const ann = [await member(where, "ann"), await member(where, "ann")];
    const bob = await member(where, "bob");
    const old = await server.token("ann");
    const tab = await inspect({ at: `#room/${where}` });
    await becomes(() => sessionsOf(tab).count(), 3);
    const row = sessionsOf(tab).filter({ hasText: "ann" }).first();
    await row.getByRole("button", { name: /Kick ann/ }).click();
    await row.getByLabel("What to end").selectOption("kick");
    await row.getByRole("button", { name: "Kick", exact: true }).click();
    for (const peer of ann) expect(await peer.next("bye")).toMatchObject({ reason: "kicked" });
    await becomes(() => told(tab), `Kicked ann in room/${where}: 2 sessions are over.`);

    await tab.page.getByRole("button", { name: "Kick a user" }).click();
    await tab.page.getByLabel("Id of the user").fill("ann");
    await tab.at(".actions").getByLabel("What to end").selectOption("revoke");
    await tab.page.getByRole("button", { name: "Revoke", exact: true }).click();
    await becomes(async () => (await told(tab)).startsWith(`Revoked ann in room/${where}: 0 sessions are over`), true);
    const refused = new Peer(server.url, `room/${where}`, old);
    peers.push(refused);
    expect(await refused.next("bye")).toMatchObject({ reason: "revoked" });
    expect(bob.frames.some(({ type }) => type === "bye")).toBe(false);
    expect(tab.complaints).toEqual([]);
  });
});

it("P: a server that is gone is told of where one looks, with the next try, and what is on the page is marked as old", async () => {
  const where = room();
  const ann = await member(where, "ann");
  await say(ann, "one");
  const tab = await inspect({ at: `#room/${where}` });
  await becomes(() => sessionsOf(tab).count(), 1);
  await tab.at("#rooms tbody tr").first().waitFor();
  await becomes(() => tab.at(".state").innerText(), "Live");
  expect(await tab.at(".age").filter({ visible: true }).count()).toBe(0);
  await tab.page.context().setOffline(true);
  await becomes(() => tab.at(".state").innerText(), "No answer");
  const problem = tab.at("#trouble .problem");
  await becomes(() => problem.count(), 1);
  await becomes(
    async () => /room\/\S+.*The Worker is out of reach. Since [\d:]+\./.test(await problem.innerText()),
    true,
  );
  await becomes(async () => /Next try in \d+ s\.|Trying …/.test(await problem.innerText()), true);
  // What was is still there, and is not taken for what is.
  await becomes(async () => /^Old: from [\d:]+, \d+ s ago$/.test(await tab.at(".head .age").innerText()), true);
  await becomes(() => tab.at("#rooms .age").innerText(), expect.stringContaining("Old: from "));
  expect(await tab.at(".room.stale").count()).toBe(1);
  expect(await tab.at(".f-offset").innerText()).toBe("1");
  // However far down one looks.
  await tab.at("#failures").scrollIntoViewIfNeeded();
  const box = await problem.boundingBox();
  expect(box && box.y >= 0 && box.y < 100).toBe(true);
  await tab.page.context().setOffline(false);
  await tab.page.getByRole("button", { name: "Try now" }).click();
  await becomes(() => problem.count(), 0);
  await becomes(() => tab.at(".state").innerText(), "Live");
  expect(await tab.at(".head .age").isVisible()).toBe(false);
  expect(await tab.at(".room.stale").count()).toBe(0);
});

describe("lag", () => {
  it("P: of a client that keeps up and has not acknowledged yet is no warning", async () => {
    const where = room();
    const client = connect(server.url, {
      room: `room/${where}`,
      token: () => server.token("ann"),
      storage: memoryStore(),
    });
    for (let i = 0; i < 100; i++) await client.publish(i);
    const tab = await inspect({ at: `#room/${where}` });
    const lag = tab.at("td[data-label='Lag']");
    await becomes(() => lag.allInnerTexts(), ["100"]);
    expect(client.position?.offset).toBe(100);
    expect(await lag.getAttribute("class")).not.toContain("warn");
    client.leave();
  });

  it("P: is a warning from where the room waits for the client", async () => {
    const where = room();
    const lags = { a: 640, b: CREDIT_ITEMS - 1, c: CREDIT_ITEMS, d: 5_000 };
    const sessions = Object.entries(lags).map(([user, lag]) => {
      return {
        session: `session-${user}`,
        user,
        connected: true,
        since: Date.now(),
        lag,
        heardAt: Date.now(),
        missed: 0,
      };
    });
    const tab = await inspect({
      at: `#room/${where}`,
      prepare: ({ page }) => page.route("**/sessions", (route) => route.fulfill({ json: { sessions } })),
    });
    await becomes(() => tab.at("td[data-label='Lag']").allInnerTexts(), ["640", "1,023", "1,024", "5,000"]);
    expect(await tab.at("td[data-label='Lag'].warn").allInnerTexts()).toEqual(["1,024", "5,000"]);
    await tab.page.getByLabel("Order").selectOption("behind");
    await becomes(() => tab.at("td[data-label='Lag']").allInnerTexts(), ["5,000", "1,024", "1,023", "640"]);
  });
});

describe("errors", () => {
  it("P: are those of this room, or of all", async () => {
    const [where, elsewhere] = [room(), room()];
    const token = await server.token("reader", { "room/another": ["join"] });
    for (const name of [where, elsewhere]) await new Peer(server.url, `room/${name}`, token).next("bye");
    const tab = await inspect({ at: `#room/${where}` });
    await tab.at("#failures summary").filter({ hasText: "forbidden" }).click();
    const places = async () => {
      const all = await tab.at("#failures tbody a").allInnerTexts();
      return all.filter((name) => [`room/${where}`, `room/${elsewhere}`].includes(name));
    };
    await becomes(places, [`room/${where}`]);
    const row = tab.at("#failures tbody tr");
    expect(await row.locator("code").getAttribute("title")).toMatch(/^request \S+\ntrace [0-9a-f]{32}$/);
    await tab.page.getByLabel("Only this room").uncheck();
    await becomes(places, [`room/${elsewhere}`, `room/${where}`]);
    // Nobody has ever been in that room.
    expect(tab.complaints.filter((text) => !text.includes("404"))).toEqual([]);
  });

  it("P: are one line for each code, with how often and when last, which stays open while more come", async () => {
    const failed = (code: string, agoMs: number, message: string) => {
      const at = Date.now() - agoMs;
      return {
        at,
        code,
        severity: "warn",
        source: "upgrade",
        kind: "room",
        room: "a",
        requestId: `r${agoMs}`,
        message,
      };
    };
    let failures = [
      failed("forbidden", 90_000, "old"),
      failed("forbidden", 600_000, "older"),
      failed("slow", 9_000, "slow"),
    ];
    const tab = await inspect({
      prepare: ({ page }) => page.route("**/failures", (route) => route.fulfill({ json: { failures } })),
    });
    const lines = () => tab.at(".groups summary").allInnerTexts();
    const line = (code: string, times: number, last: string, newest: string) =>
      expect.stringMatching(new RegExp(`^${code}\\s*, warn\\s*${times} ×\\s*last ${last}\\s*upgrade: ${newest}$`));
    await becomes(lines, [line("slow", 1, "\\d+ s ago", "slow"), line("forbidden", 2, "\\d+ s ago", "old")]);
    expect(await tab.at("#failures .much").innerText()).toBe("3 of the newest 3");
    const forbidden = tab.at(".groups > li").filter({ hasText: "forbidden" });
    await forbidden.locator("summary").click();
    await becomes(() => forbidden.locator(".message").allInnerTexts(), ["old", "older"]);
    failures = [failed("forbidden", 0, "new"), ...failures];
    await becomes(lines, [line("forbidden", 3, "(?:now|\\d+ s ago)", "new"), line("slow", 1, "\\d+ s ago", "slow")]);
    expect(await forbidden.locator(".message").allInnerTexts()).toEqual(["new", "old", "older"]);
    expect(tab.complaints).toEqual([]);
  });
});

describe("what is missing", () => {
  it("E8: from the list of rooms and from the errors is said, and of a search that it did not ask all", async () => {
    const incomplete = { rooms: [], incomplete: [3, 7] };
    const whole = { rooms: [], next: undefined };
    let page: object = incomplete;
    let list: object = { failures: [], ends: [], incomplete: [3] };
    const tab = await inspect({
      prepare: async ({ page: tabPage }) => {
        await tabPage.route("**/rooms", (route) => route.fulfill({ json: page }));
        await tabPage.route("**/failures", (route) => route.fulfill({ json: list }));
      },
    });
    await becomes(() => tab.at("#rooms .age").innerText(), "Incomplete: 2 parts of the directory did not answer");
    expect(await tab.at("#rooms .empty").innerText()).toBe("No room of the other parts is live.");
    await becomes(() => tab.at("#failures .age").innerText(), "Incomplete: 1 part of the directory did not answer");
    await tab.page.getByLabel("Id or name of a user").fill("ann");
    await tab.page.keyboard.press("Enter");
    await becomes(
      () => tab.at(".result").innerText(),
      "Not found. Asked 0 of 0 live rooms. Incomplete: 2 parts of the directory did not answer.",
    );
    [page, list] = [whole, { failures: [], ends: [] }];
    await becomes(() => tab.at(".age").filter({ visible: true }).count(), 0);
    expect(tab.complaints).toEqual([]);
  });

  it("T18: why rooms ended connections stands among the errors, apart from failures of the same code", async () => {
    const record = (code: string, source: string) => ({
      at: Date.now() - 5_000,
      code,
      severity: "warn",
      source,
      kind: "room",
      room: "a",
      user: "ann",
      message: `${source} ${code}`,
    });
    const json = {
      failures: [record("slow", "upgrade")],
      ends: [record("slow", "connection"), record("kicked", "connection"), record("kicked", "connection")],
    };
    const tab = await inspect({
      prepare: ({ page }) => page.route("**/failures", (route) => route.fulfill({ json })),
    });
    const lines = async () =>
      (await tab.at(".groups summary").allInnerTexts()).map((text) => text.split(/\s+/).join(" "));
    await becomes(async () => (await lines()).length, 3);
    expect((await lines()).map((text) => text.replace(/last .* ago/, "last ago")).toSorted()).toEqual([
      "kicked , warn 2 ended last ago connection: connection kicked",
      "slow , warn 1 ended last ago connection: connection slow",
      "slow , warn 1 × last ago upgrade: upgrade slow",
    ]);
    expect(tab.complaints).toEqual([]);
  });
});

it("P: the chart says since when it knows, and what was before is not drawn as zero", async () => {
  const where = room();
  await member(where, "ann");
  const tab = await inspect({ at: `#room/${where}` });
  await becomes(
    async () => /^Watched by this page since \d\d:\d\d:\d\d$/.test(await tab.at(".watched").innerText()),
    true,
  );
  expect(Number(await tab.at(".plot .unknown").getAttribute("width"))).toBeGreaterThan(500);
});
