/** The inspector at `/inspect` in real Chromium over the real `npm start`: what who is on call sees and does there. */
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Peer } from "../e2e/peer.ts";
import { Server } from "../e2e/server.ts";
import { becomes, launch, launchPlain, Tab } from "./chromium.ts";
import {
  inspector,
  join as joinRoom,
  logOf,
  noTokens,
  overflow,
  paste,
  say,
  sessionsOf,
  signed,
  type Look,
} from "./inspector.ts";

const server = new Server();
/** Rooms with a heartbeat every second, and no directory. */
const quick = new Server(["--config", join(import.meta.dirname, "quick.toml")]);
const peers: Peer[] = [];
let browser: Browser | undefined;
const inspect = ({ of = server, ...look }: Partial<Look> = {}) => inspector(browser, { of, ...look });
let rooms = 0;
const member = async (...of: Parameters<typeof joinRoom>) => {
  const peer = await joinRoom(...of);
  peers.push(peer);
  return peer;
};
const room = () => `inspected-${++rooms}`;

beforeAll(async () => {
  await server.start(); // builds the client that both serve
  [browser] = await Promise.all([launch(), quick.start()]);
});
// Also when the beginning failed: nothing stays behind.
afterAll(() => Promise.all([browser?.close(), server.stop(), quick.stop()]));
afterEach(async () => {
  for (const peer of peers.splice(0)) peer.socket.close();
  for (const context of browser?.contexts() ?? []) await context.close();
});

describe("signing in", () => {
  it("happens by itself in development, and signing out forgets the token", async () => {
    const tab = await inspect();
    await tab.at("#work").waitFor();
    await tab.page.getByRole("button", { name: "Sign out" }).click();
    await tab.at("#sign-in").waitFor();
    expect(await tab.at("#work").isVisible()).toBe(false);
    await tab.page.getByRole("button", { name: "Use a development token" }).click();
    await tab.at("#work").waitFor();
    expect(tab.complaints).toEqual([]);
  });

  it("says of a token that it is refused, has expired or is no admin's", async () => {
    const tab = await inspect({ prepare: noTokens });
    const reason = tab.at(".reason");
    const told = async (token: string, expected: RegExp) => {
      await paste(tab, token);
      await becomes(async () => expected.test(await reason.innerText()), true);
    };
    await told("not.a.token", /The token was refused\.[^]*request \S+/);
    await told(await signed(server, { sub: "op", ttl: -60 }), /The token has expired\./);
    await told(await server.token("op"), /lacks the grant admin/);
    await paste(tab, await signed(server, { sub: "op", rooms: { "room/inspected-*": ["admin"] } }));
    await tab.at("#work").waitFor();
    // Kept over a reload, in this tab, and gone when told so.
    await tab.page.reload();
    await tab.at("#work").waitFor();
    await tab.page.getByRole("button", { name: "Sign out" }).click();
    await tab.page.reload();
    await tab.at("#sign-in").waitFor();
  });

  it("replaces a development token that runs out, and nobody notices", async () => {
    let tokens = 0;
    const where = room();
    await member(server, where, await server.token("ann"));
    const tab = await inspect({
      prepare: ({ page }) =>
        page.route("**/dev/token", async (route) => {
          tokens++;
          const body = route.request().postDataJSON() as Record<string, unknown>;
          await route.continue({ postData: JSON.stringify({ ...body, ttl: -8 }) }); // the Worker tolerates ten
        }),
      at: `#room/${where}`,
    });
    await tab.at(".room:not([aria-busy])").waitFor();
    await becomes(() => tokens > 2, true);
    expect(await tab.at("#sign-in").isVisible()).toBe(false);
    expect(await tab.at("#trouble .problem").count()).toBe(0);
  });

  it("is told of a directory that is missing, and opens rooms by name all the same", async () => {
    await member(quick, "by-name", await quick.token("ann"));
    const tab = await inspect({ of: quick });
    await becomes(async () => (await tab.at("#rooms .empty").innerText()).includes("EDGEROOMS_DIRECTORY"), true);
    await tab.page.getByLabel("Any room").fill("room/by-name");
    await tab.page.keyboard.press("Enter");
    await tab.at(".room:not([aria-busy])").waitFor();
    expect(await tab.at(".state").innerText()).toBe("Live");
  });
});

describe("rooms", () => {
  it("are listed, sorted, filtered, opened, and left with the back button", async () => {
    const [first, second] = [room(), room()];
    for (const where of [first, second]) await member(server, where, await server.token("ann"));
    const tab = await inspect();
    const names = () => tab.at("#rooms tbody a").allInnerTexts();
    const ours = async () => (await names()).filter((name) => [`room/${first}`, `room/${second}`].includes(name));
    const wanted = tab.page.getByLabel("Filter rooms by name");
    await wanted.fill("inspected-");
    const byName = tab.page.getByRole("button", { name: "Room", exact: true });
    await byName.click();
    await becomes(ours, [`room/${first}`, `room/${second}`]);
    await byName.click();
    await becomes(ours, [`room/${second}`, `room/${first}`]);
    expect(await tab.at("#rooms th").first().getAttribute("aria-sort")).toBe("descending");
    await wanted.fill(second);
    await becomes(names, [`room/${second}`]);
    expect(await tab.at("#rooms tbody td").allInnerTexts()).toEqual([
      `room/${second}`,
      "1",
      "1",
      "0",
      expect.any(String),
    ]);
    await tab.at("#rooms tbody a").click();
    await becomes(() => tab.at(".title").innerText(), `room/${second}`);
    expect(tab.page.url()).toBe(`${server.url}/inspect/#room/${second}`);
    await becomes(() => sessionsOf(tab).count(), 1);
    await tab.page.goBack();
    await becomes(() => tab.at(".room").count(), 0);
    await wanted.fill("no such room");
    await becomes(() => tab.at("#rooms .empty").innerText(), "No room of the list is called that.");
    expect(tab.complaints).toEqual([]);
  });
});

describe("a room", () => {
  it("shows who keeps up and who does not, and when they were last heard", async () => {
    const where = room();
    const ann = await member(quick, where, await quick.token("ann"));
    await member(quick, where, await quick.token("lazy"), { credit: 1 }); // acknowledges nothing
    const tab = await inspect({ of: quick, at: `#room/${where}` });
    await say(ann, "one", "two", "three");
    const facts = (user: string) =>
      sessionsOf(tab).filter({ hasText: user }).locator("td[data-label='Lag'], td[data-label='Last heard']");
    await becomes(async () => /now|s ago/.test((await facts("ann").allInnerTexts())[0] ?? ""), true);
    await becomes(async () => (await facts("lazy").allInnerTexts())[1], "3");
    expect((await facts("ann").allInnerTexts())[1]).toBe("0");
    expect(await tab.at(".f-connections").innerText()).toBe("2");
    expect(await tab.at(".f-heartbeat").innerText()).toMatch(/^now$|^in /);
  });

  it("shows the log as it grows, and how fast", async () => {
    const where = room();
    const ann = await member(server, where, await server.token("ann"));
    await say(ann, { text: "from before" });
    const tab = await inspect({ at: `#room/${where}` });
    await becomes(() => logOf(tab), ['{"text":"from before"}']);
    await say(ann, "two", "three");
    await becomes(() => logOf(tab), ['{"text":"from before"}', '"two"', '"three"']);
    expect(await tab.at(".log .offset").allInnerTexts()).toEqual(["1", "2", "3"]);
    await becomes(async () => /^[\d.]+\/s$/.test(await tab.at(".rate-now").innerText()), true);
    await becomes(async () => /peak [1-9]|peak 0\.[1-9]/.test(await tab.at(".rate-peak").innerText()), true);
    expect(await tab.at(".plot title").textContent()).toMatch(/per second.*at most/);
    expect(await tab.at(".curve").getAttribute("d")).toMatch(/^M.+L/);
    await tab.at(".log summary").first().click();
    await becomes(() => tab.at(".log pre").innerText(), '{\n  "text": "from before"\n}');
    // A pause holds what comes, and tells how much; afterwards it is there.
    await tab.page.getByRole("button", { name: "Pause" }).click();
    await say(ann, "four");
    await becomes(() => tab.at(".log .much").innerText(), "Paused, 1 more");
    for (let looks = 0; looks < 2; looks++) await tab.page.waitForResponse("**/stats");
    expect(await logOf(tab)).toHaveLength(3);
    await tab.page.getByRole("button", { name: "Go on" }).click();
    await becomes(async () => (await logOf(tab)).at(-1), '"four"');
    expect(tab.complaints).toEqual([]);
  });

  it("keeps 500 publications on the page, and stays at the end until somebody scrolls", async () => {
    const where = room();
    const crowd = await Promise.all(
      ["a", "b", "c", "d", "e", "f", "g"].map(async (name) => member(server, where, await server.token(name))),
    );
    const texts = Array.from({ length: 80 }, (_, i) => `line ${i}`);
    const tab = await inspect({ at: `#room/${where}` });
    await becomes(() => sessionsOf(tab).count(), 7);
    await say(crowd[0], ...texts);
    await becomes(async () => (await logOf(tab)).length, 80);
    const box = 'document.querySelector(".log .scroll")';
    const left = `${box}.scrollHeight - ${box}.scrollTop - ${box}.clientHeight`;
    const isAtEnd = () => tab.page.evaluate<boolean>(`${left} < 2`);
    expect(await isAtEnd()).toBe(true);
    await tab.page.evaluate(`${box}.scrollTo(0, 0)`);
    await Promise.all(crowd.slice(1).map(async (peer) => say(peer, ...texts)));
    await becomes(async () => (await tab.at(".log .offset").allInnerTexts()).at(-1), "560");
    expect(await tab.at(".log li").count()).toBe(500);
    expect(await isAtEnd()).toBe(false);
  });

  it("ends a session when somebody kicks it and says so twice", async () => {
    const where = room();
    const ann = await member(server, where, await server.token("ann"));
    const bob = await member(server, where, await server.token("bob"));
    const tab = await inspect({ at: `#room/${where}` });
    const kick = tab.page.getByRole("button", { name: /Kick bob/ });
    await kick.click();
    await tab.page.keyboard.press("Escape");
    expect(await kick.isVisible()).toBe(true);
    await kick.press("Enter");
    const { session } = await bob.next("welcome");
    await sessionsOf(tab).filter({ hasText: "bob" }).getByRole("button", { name: "Kick", exact: true }).press("Enter");
    expect(await bob.next("bye")).toMatchObject({ reason: "kicked" });
    await becomes(() => tab.at("#told").innerText(), `Kicked bob: session ${session.slice(0, 8)} is over.`);
    await becomes(() => sessionsOf(tab).count(), 1);
    expect(ann.frames.some(({ type }) => type === "bye")).toBe(false);
    expect(tab.complaints).toEqual([]);
  });

  it("is drained within the seconds that somebody asks for", async () => {
    const where = room();
    const ann = await member(server, where, await server.token("ann"));
    const tab = await inspect({ at: `#room/${where}` });
    await becomes(() => sessionsOf(tab).count(), 1);
    await tab.page.getByRole("button", { name: "Drain" }).click();
    await tab.page.getByLabel("Seconds until everyone is closed").fill("3");
    await tab.page.keyboard.press("Enter");
    await becomes(async () => (await tab.at(".state").innerText()).startsWith("Draining until "), true);
    expect(await tab.at("#told").innerText()).toMatch(/told 1 connection, closing at/);
    expect(await ann.next("bye")).toMatchObject({ reason: "restarting" });
    await becomes(() => tab.at(".state").innerText(), "Nobody connected");
    expect(tab.complaints).toEqual([]);
  });

  it("shows what strangers write as text", async () => {
    const where = room();
    const evil = '<img src=x onerror="document.title=1">';
    const mallory = await member(server, where, await signed(server, { sub: evil, name: `<b>${evil}</b>` }));
    await say(mallory, { [evil]: `</pre><script>alert(1)</script>\u202e${evil}` });
    const tab = await inspect({ at: `#room/${where}` });
    await becomes(() => tab.at(".who strong").innerText(), `<b>${evil}</b>`);
    expect(await tab.at(".members li strong").innerText()).toBe(`<b>${evil}</b>`);
    await tab.at(".log summary").click();
    // What would turn the line around is seen as what it is.
    await becomes(
      async () => (await tab.at(".log pre").innerText()).includes("<script>alert(1)</script>\\u202e<img"),
      true,
    );
    expect(await tab.at("main img, main b, main script").count()).toBe(0);
    await tab.page.goto(`${server.url}/inspect/#${encodeURIComponent(`${evil}/../x`)}`);
    await becomes(() => tab.at("#view").innerText(), "This is not the address of a room.");
    expect(await tab.page.title()).toBe("Inspector – edgerooms");
    expect(tab.complaints).toEqual([]);
  });

  it("is asked nothing while nobody looks, and at once when somebody does again", async () => {
    const { context, stop } = await launchPlain();
    try {
      const where = room();
      const ann = await member(quick, where, await quick.token("ann"));
      const tab = new Tab(await context.newPage());
      let asked = 0;
      tab.page.on("request", (request) => (asked += request.url().endsWith("/stats") ? 1 : 0));
      await tab.page.goto(`${quick.url}/inspect/#room/${where}`);
      await becomes(() => asked > 1, true);
      const other = await context.newPage();
      await other.bringToFront();
      await becomes(() => tab.visibility(), "hidden");
      const [before, heartbeats] = [asked, () => ann.frames.filter(({ type }) => type === "heartbeat").length];
      const seen = heartbeats();
      await becomes(() => heartbeats() >= seen + 5, true); // a second apart
      expect(asked).toBe(before);
      await tab.page.bringToFront();
      await becomes(() => asked > before, true);
    } finally {
      await stop();
    }
  });

  it("that cannot be read is told of in one place with the request's id, tried again, and shown when it can", async () => {
    const tab = await inspect({ at: "#nothing/here" });
    await becomes(
      async () =>
        /^nothing\/here: .+ \(HTTP 404 not_found\) Since [\d:]+\. request \S+/.test(
          await tab.at("#trouble p").innerText(),
        ),
      true,
    );
    await becomes(() => tab.at(".state").innerText(), "Not known");
    const where = room();
    await member(server, where, await server.token("ann"));
    await tab.page.route(`**/rooms/room/${where}/**`, (route) => route.abort());
    await tab.page.goto(`${server.url}/inspect/#room/${where}`);
    await becomes(
      () => tab.at("#trouble p").allInnerTexts(),
      [expect.stringMatching(`^room/${where}: The Worker is out of reach. Since [\\d:]+.`)],
    );
    await tab.page.unroute(`**/rooms/room/${where}/**`);
    await becomes(() => tab.at("#trouble .problem").count(), 0);
    await becomes(() => tab.at(".state").innerText(), "Live");
  });
});

it("fits a phone, where the list and the room take turns", async () => {
  const where = room();
  const ann = await member(server, where, await signed(server, { sub: "a".repeat(255), name: "N".repeat(128) }));
  await say(ann, "x".repeat(5_000));
  const tab = await inspect({ options: { viewport: { width: 390, height: 844 }, hasTouch: true } });
  await tab.page.getByLabel("Filter rooms by name").fill(where);
  await becomes(() => tab.at("#rooms tbody tr").count(), 1);
  expect(await overflow(tab)).toBe(0);
  await tab.at("#rooms tbody a").tap();
  await becomes(() => sessionsOf(tab).count(), 1);
  await becomes(async () => (await logOf(tab)).length, 1);
  expect(await overflow(tab)).toBe(0);
  expect(await tab.at("#rooms").isVisible()).toBe(false);
  await tab.page.getByRole("link", { name: "All rooms" }).tap();
  await becomes(() => tab.at("#rooms").isVisible(), true);
});
