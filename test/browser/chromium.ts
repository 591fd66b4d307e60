/** Chromium as Debian packages it, and a tab of it with the demo page in. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { chromium, type Browser, type BrowserContext, type Locator, type Page } from "playwright-core";
import { expect } from "vitest";
import { eventually, patience } from "../support/patience.ts";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath, args });
}

/** A browser whose tabs hide each other, as in life: otherwise playwright makes every page believe that it is seen. */
export async function launchPlain(): Promise<{ context: BrowserContext; stop: () => Promise<void> }> {
  const profile = mkdtempSync(join(tmpdir(), "edgerooms-chromium-"));
  const child = spawn(executablePath, [...args, "--remote-debugging-port=0", `--user-data-dir=${profile}`], {
    detached: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let output = "";
  child.stderr.on("data", (chunk: Buffer) => {
    output += String(chunk);
    const endpoint = /DevTools listening on (ws:\S+)/.exec(output)?.[1];
    if (endpoint) resolve(endpoint);
  });
  child.on("exit", (code) => reject(new Error(`chromium ended with ${code}:\n${output}`)));
  const browser = await chromium.connectOverCDP(await promise, { noDefaults: true });
  const [context] = browser.contexts();
  if (!context || child.pid === undefined) throw new Error("chromium has no window");
  const { pid } = child;
  const stop = async () => {
    await browser.close();
    const gone = new Promise((done) => child.on("exit", done));
    process.kill(-pid, "SIGKILL");
    await gone;
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  return { context, stop };
}

/** What axe-core finds wrong, as `rule: element`. */
export async function violations({ page }: Tab): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate<axe.AxeResults>("axe.run()");
  return found.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`));
}

/** One tab with the page in, seen as a person sees it, and its sockets, seen as a wire sees them. */
export class Tab {
  readonly page: Page;
  /** What the page complained of: mistakes, and what its Content-Security-Policy forbids. */
  readonly complaints: string[] = [];
  /** Everything that went over its sockets. */
  readonly received: string[] = [];
  readonly sent: string[] = [];
  sockets = 0;

  constructor(page: Page) {
    this.page = page;
    page.setDefaultTimeout(patience(4_000));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
    page.on("websocket", (socket) => {
      this.sockets++;
      socket.on("framereceived", ({ payload }) => this.received.push(String(payload)));
      socket.on("framesent", ({ payload }) => this.sent.push(String(payload)));
    });
  }

  static async open(context: BrowserContext, url: string, room: string, name: string): Promise<Tab> {
    const tab = new Tab(await context.newPage());
    await tab.goto(url, room, name);
    return tab;
  }

  async goto(url: string, room: string, name: string): Promise<void> {
    await this.page.goto(`${url}/?${String(new URLSearchParams({ room, name }))}`);
  }

  /** By selector. */
  at(selector: string): Locator {
    return this.page.locator(selector);
  }

  async say(text: string): Promise<void> {
    await this.at(".say input").fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** The conversation as it stands there: offset and text. */
  async said(): Promise<string[]> {
    const [offsets, texts] = await Promise.all([
      this.at(".said .offset").allTextContents(),
      this.at(".said p").allTextContents(),
    ]);
    return texts.map((text, i) => `${offsets[i]} ${text}`);
  }

  async hears(...texts: string[]): Promise<void> {
    await becomes(
      () => this.said(),
      texts.map((text, i) => `${i + 1} ${text}`),
    );
  }

  async isOpen(): Promise<void> {
    await this.at('.pane[data-state="open"]').waitFor();
  }

  /** One number of the connection panel, by the end of its class. */
  fact(name: string): Promise<string> {
    return this.at(`.f-${name}`).innerText();
  }

  /** The session in full. */
  async session(): Promise<string> {
    return (await this.at(".f-session").getAttribute("title")) ?? "";
  }

  visibility(): Promise<string> {
    return this.page.evaluate<string>("document.visibilityState");
  }
}

/** Waits until a value is what it should be, and says what it was instead. */
export async function becomes<T>(read: () => T | Promise<T>, expected: T): Promise<void> {
  await eventually(async () => expect(await read()).toEqual(expected), { everyMs: 50 });
}
