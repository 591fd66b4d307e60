/** The inspector in a project of one's own, copied as docs/guides/operate.md says: it guards its own page, and no other. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Server } from "../e2e/server.ts";
import { launch, Tab } from "./chromium.ts";

const root = join(import.meta.dirname, "../..");
const project = mkdtempSync(join(tmpdir(), "edgerooms-project-"));
const OWN_HEADERS = "/own.html\n  X-Own: yes\n";
/** A page as people write them: with a script and a style in it. */
const OWN_PAGE = `<!doctype html><title>own</title><link rel="icon" href="data:,"><style>body { margin: 7px }</style><script>document.title = "ran"</script>`;

let server: Server;
let browser: Browser | undefined;

beforeAll(async () => {
  mkdirSync(join(project, "public"));
  mkdirSync(join(project, "node_modules"));
  symlinkSync(root, join(project, "node_modules/edgerooms"));
  writeFileSync(join(project, "public/_headers"), OWN_HEADERS);
  writeFileSync(join(project, "public/own.html"), OWN_PAGE);
  const [, command] =
    /^(cp .*edgerooms\/public.*)$/m.exec(readFileSync(join(root, "docs/guides/operate.md"), "utf8")) ?? [];
  if (command === undefined) throw new Error("docs/guides/operate.md has no command that copies the inspector");
  execFileSync("sh", ["-c", command], { cwd: project });
  const config = readFileSync(join(import.meta.dirname, "quick.toml"), "utf8")
    .replace('"worker.ts"', JSON.stringify(join(import.meta.dirname, "worker.ts")))
    .replace('"../../public"', JSON.stringify(join(project, "public")));
  writeFileSync(join(project, "wrangler.toml"), config);
  server = new Server(["--config", join(project, "wrangler.toml")]);
  [browser] = await Promise.all([launch(), server.start()]);
});
afterAll(async () => {
  await Promise.all([browser?.close(), server?.stop()]);
  rmSync(project, { recursive: true, force: true });
});

it("T23: the user's own page and headers are as they were", async () => {
  expect(readFileSync(join(project, "public/_headers"), "utf8")).toBe(OWN_HEADERS);
  const { headers } = await fetch(`${server.url}/own`);
  expect(headers.get("content-security-policy")).toBe(null);
  const tab = new Tab(await (await contextOf()).newPage());
  await tab.page.goto(`${server.url}/own`);
  expect(await tab.page.title()).toBe("ran");
  expect(await tab.page.evaluate("getComputedStyle(document.body).margin")).toBe("7px");
  expect(tab.complaints).toEqual([]);
});

it("T23: the inspector works, and its own policy holds without a header", async () => {
  expect((await fetch(`${server.url}/inspect/`)).headers.get("content-security-policy")).toBe(null);
  const tab = new Tab(await (await contextOf()).newPage());
  await tab.page.goto(`${server.url}/inspect/`);
  await tab.at("#work").waitFor();
  // There is no directory here, which is an answer of 404.
  expect(tab.complaints.filter((text) => !text.includes("404"))).toEqual([]);
  // What a stranger's text would need: a script in the page, and text that becomes HTML.
  const forbidden = `(() => {
    const script = document.createElement("script");
    try { script.text = "document.title = 'broken in'"; document.body.append(script); } catch {}
    try { document.querySelector("#main").innerHTML = "<b>in</b>"; return "taken"; } catch (error) { return error.name; }
  })()`;
  expect(await tab.page.evaluate(forbidden)).toBe("TypeError");
  expect(await tab.page.title()).not.toBe("broken in");
});

function contextOf() {
  if (!browser) throw new Error("there is no browser");
  return browser.newContext();
}
