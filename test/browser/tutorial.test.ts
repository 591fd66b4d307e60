/**
 * The page of docs/start/tutorial.md in a browser, served by the tutorial's own Worker. Commands and terminals are played in
 * test/package/tutorial.test.ts; here the package is the source.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Browser } from "playwright-core";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Server } from "../e2e/server.ts";
import { fileNameOf, snippetsOf } from "../support/snippets.ts";
import { root } from "../support/sources.ts";
import { becomes, launch, Tab } from "./chromium.ts";

const project = mkdtempSync(join(tmpdir(), "edgerooms-tutorial-"));
const config = join(project, "wrangler.toml");
/** Later keys would belong to the table before them: what is for the whole file comes first. */
const SOURCE = `alias = { edgerooms = ${JSON.stringify(join(root, "src/server.ts"))} }\nsend_metrics = false\n`;

let server: Server;
let browser: Browser | undefined;

beforeAll(async () => {
  for (const snippet of snippetsOf("docs/start/tutorial.md")) {
    const name = snippet.language === "sh" ? undefined : fileNameOf(snippet);
    if (name === undefined) continue;
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), name === "wrangler.toml" ? SOURCE + snippet.text : snippet.text);
  }
  writeFileSync(join(project, ".dev.vars"), `AUTH_SECRET=${"only-for-this-test-".repeat(2)}\n`);
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  await build({
    entryPoints: [join(root, "src/client/client.ts")],
    outfile: join(project, "public/edgerooms.js"),
    bundle: true,
    format: "esm",
  });
  server = new Server(["--config", config]);
  [browser] = await Promise.all([launch(), server.start()]);
});
afterAll(async () => {
  await Promise.all([browser?.close(), server?.stop()]);
  rmSync(project, { recursive: true, force: true });
});

async function person(query: string): Promise<Tab> {
  if (!browser) throw new Error("there is no browser");
  const tab = new Tab(await (await browser.newContext()).newPage());
  await tab.page.goto(`${server.url}/${query}`);
  await becomes(() => tab.at("p").innerText(), "open");
  return tab;
}

async function say(tab: Tab, text: string): Promise<void> {
  await tab.at("input").fill(text);
  await tab.page.keyboard.press("Enter");
}

const lines = (tab: Tab) => tab.at("li").allInnerTexts();

it("T21: the tutorial's page: two people, a refusal, a newcomer, and a line that is cut while one of them writes", async () => {
  const [carol, dave] = [await person(""), await person("?user=dave")];
  await say(carol, " hello ");
  await becomes(() => lines(dave), ["carol: hello"]);
  await say(dave, " ");
  await becomes(() => dave.at("p").innerText(), "A message is a text.");
  // The page has no icon.
  expect(carol.complaints.filter((text) => !text.includes("404"))).toEqual([]);

  const network = carol.page.context();
  await network.setOffline(true);
  await becomes(async () => (await carol.at("p").innerText()) === "open", false);
  await say(dave, "while you were away");
  await becomes(() => lines(dave), ["carol: hello", "dave: while you were away"]);
  await say(carol, "and so was I");
  await network.setOffline(false);
  const all = ["carol: hello", "dave: while you were away", "carol: and so was I"];
  for (const tab of [carol, dave, await person("?user=erin")]) await becomes(() => lines(tab), all);
});
