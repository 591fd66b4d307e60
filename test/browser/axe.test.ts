/** Every page of the demo and the inspector as axe-core judges it, light and dark; what moves; what the keyboard reaches. */
import type { Browser, BrowserContextOptions } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Peer } from "../e2e/peer.ts";
import { Server } from "../e2e/server.ts";
import { becomes, launch, Tab, violations } from "./chromium.ts";
import { join, noTokens, say } from "./inspector.ts";

const server = new Server();
let browser: Browser | undefined;
let ann: Peer;
const WHERE = "judged";

beforeAll(async () => {
  await server.start();
  browser = await launch();
  ann = await join(server, WHERE, await server.token("ann"));
  await say(ann, { text: "hello" }, { a: 1 });
});
afterAll(async () => {
  ann.socket.close();
  await Promise.all([browser?.close(), server.stop()]);
});
afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
});

async function tabWith(options: BrowserContextOptions): Promise<Tab> {
  if (!browser) throw new Error("there is no browser");
  return new Tab(await (await browser.newContext(options)).newPage());
}

const joined = (people: number) => async (tab: Tab) => {
  await tab
    .at('.pane[data-state="open"]')
    .nth(people - 1)
    .waitFor();
  // What was said and who is here.
  await tab.at(".said li").first().waitFor();
};
const inspected = async (tab: Tab) => {
  await tab.at(".sessions tbody tr").first().waitFor();
  await tab.at(".log summary").first().click();
};

/** The pages: how each is opened, and what must be on it before it is judged. */
const PAGES: readonly (readonly [string, string, (tab: Tab) => Promise<unknown>])[] = [
  ["demo: the form to join", `?room=${WHERE}`, (tab) => tab.at(".join").waitFor()],
  ["demo: one person", `?room=${WHERE}&name=Eva`, joined(1)],
  ["demo: two people", `?room=${WHERE}&panes=2`, joined(2)],
  [
    "demo: out of the room, with a message that waits",
    `?room=${WHERE}&name=Eva`,
    async (tab) => {
      await joined(1)(tab);
      await tab.page.getByRole("switch", { name: "Offline" }).check();
      await tab.say("later");
      await tab.at(".pending").waitFor();
    },
  ],
  ["the documents", "docs/", (tab) => tab.at("main a").first().waitFor()],
  ["inspector: the list", "inspect/", (tab) => tab.at("#rooms tbody tr").first().waitFor()],
  ["inspector: a room", `inspect/#room/${WHERE}`, inspected],
  [
    "inspector: a question before a kick",
    `inspect/#room/${WHERE}`,
    async (tab) => {
      await inspected(tab);
      await tab.page
        .getByRole("button", { name: /Kick ann/ })
        .first()
        .click();
    },
  ],
  [
    "inspector: without a server",
    `inspect/#room/${WHERE}`,
    async (tab) => {
      await inspected(tab);
      await tab.page.context().setOffline(true);
      await becomes(() => tab.at(".state").innerText(), "No answer");
    },
  ],
];

describe.each(["light", "dark"] as const)("%s", (colorScheme) => {
  it.each(PAGES)("P: axe-core finds nothing wrong: %s", async (_, path, ready) => {
    const tab = await tabWith({ colorScheme, viewport: { width: 1280, height: 800 } });
    await tab.page.goto(`${server.url}/${path}`);
    await ready(tab);
    expect(await violations(tab)).toEqual([]);
  });

  it("P: axe-core finds nothing wrong: inspector, signing in on a phone", async () => {
    const tab = await tabWith({ colorScheme, viewport: { width: 375, height: 667 } });
    await noTokens(tab);
    await tab.page.goto(`${server.url}/inspect/`);
    await tab.at("#sign-in").waitFor();
    expect(await violations(tab)).toEqual([]);
  });
});

it("P: axe-core would find what is wrong", async () => {
  const tab = await tabWith({});
  await tab.page.goto(`${server.url}/docs/`);
  await tab.page.evaluate("document.querySelector('a').style.color = '#eee'; document.documentElement.lang = ''");
  expect((await violations(tab)).map((found) => found.split(":")[0])).toEqual(
    expect.arrayContaining(["color-contrast", "html-has-lang"]),
  );
});

it("P: nothing moves for people who asked for that", async () => {
  const tab = await tabWith({});
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await tab.page.route("**/demo/main.js", (route) => held.then(() => route.continue()));
  await tab.page.route("**/dev/token", () => undefined); // never answered: it goes on loading
  const moving = () =>
    tab.page.evaluate<number>("document.getAnimations().filter((each) => each.playState === 'running').length");
  const moves = async (count: number) => {
    await tab.page.emulateMedia({ reducedMotion: "no-preference" });
    await becomes(moving, count);
    await tab.page.emulateMedia({ reducedMotion: "reduce" });
    expect(await moving()).toBe(0);
  };
  void tab.page.goto(`${server.url}/?room=${WHERE}&name=Eva`);
  await tab.at("#loading").waitFor();
  await moves(3);
  release();
  await tab.at(".pane").waitFor();
  await moves(1);
});

it("P: the keyboard reaches everything of the demo in the order in which it stands", async () => {
  const tab = await tabWith({ viewport: { width: 1280, height: 800 } });
  await tab.page.goto(`${server.url}/?room=${WHERE}&name=Eva`);
  await joined(1)(tab);
  await tab.at("#view").focus();
  const reached: string[] = [];
  const name = `(({ className, id, href }) => id || className.toString().split(" ")[0] || href)(document.activeElement)`;
  for (let i = 0; i < 22; i++) {
    reached.push(await tab.page.evaluate<string>(name));
    await tab.page.keyboard.press("Tab");
  }
  const wanted = ["view", "inspect", "present", "log", "cut", "kill", "offline", "chatter", "short", "events"];
  expect(reached.filter((each) => wanted.includes(each))).toEqual(wanted);
});
