/** The inspector's page in a tab, and members of rooms that it looks at. Knows what the page is like, and no test. */
import type { Browser, BrowserContextOptions } from "playwright-core";
import { Peer } from "../e2e/peer.ts";
import type { Server } from "../e2e/server.ts";
import { Tab } from "./chromium.ts";

/** How the page is opened. */
export interface Look {
  readonly of: Server;
  /** What follows the page's address. */
  readonly at?: string;
  readonly prepare?: (tab: Tab) => Promise<unknown>;
  readonly options?: BrowserContextOptions;
}

/** A tab with the page in, in a browser of its own. */
export async function inspector(browser: Browser | undefined, { of, at = "", prepare, options }: Look): Promise<Tab> {
  if (!browser) throw new Error("there is no browser");
  const context = await browser.newContext(options);
  const tab = new Tab(await context.newPage());
  await prepare?.(tab);
  await tab.page.goto(`${of.url}/inspect${at}`);
  return tab;
}

/** A member over a real socket, who has joined. */
export async function join(
  of: Server,
  where: string,
  token: string,
  query: Record<string, number> = {},
): Promise<Peer> {
  const peer = new Peer(of.url, `room/${where}`, token, query);
  await peer.next("welcome");
  return peer;
}

/** Publishes, and waits until the room has it all. */
export async function say(peer: Peer | undefined, ...texts: unknown[]): Promise<void> {
  if (!peer) throw new Error("nobody to say it");
  const acks = () => peer.frames.filter(({ type }) => type === "ack").length;
  const before = acks();
  peer.send(...texts.map((data, i) => ({ type: "publish" as const, ref: before + i + 1, data: data as string })));
  await peer.until(() => acks() === before + texts.length, "acks");
}

/** A token of any claims and any age, as a developer's Worker signs them. */
export async function signed(server: Server, claims: Record<string, unknown>): Promise<string> {
  const response = await fetch(`${server.url}/dev/token`, { method: "POST", body: JSON.stringify(claims) });
  const { token } = await response.json<{ token: string }>();
  return token;
}

/** A Worker that hands out no tokens, as in production. */
export const noTokens = ({ page }: Tab) =>
  page.route("**/dev/token", (route) => route.fulfill({ status: 404, json: {} }));

/** Signs in with a token. */
export async function paste(tab: Tab, token: string): Promise<void> {
  await tab.page.getByLabel("Token", { exact: true }).fill(token);
  await tab.page.getByRole("button", { name: "Sign in" }).click();
}

/** Rows of the table of connections. */
export const sessionsOf = (tab: Tab) => tab.at(".sessions tbody tr");
/** Lines of the log, as JSON. */
export const logOf = (tab: Tab) => tab.at(".log summary").allTextContents();
/** Pixels by which something is wider than the page, or than the box that it scrolls in. */
export const overflow = (tab: Tab) =>
  tab.page.evaluate<number>(`Math.max(
    document.documentElement.scrollWidth - innerWidth,
    ...Array.from(document.querySelectorAll(".scroll"), (box) => box.scrollWidth - box.clientWidth))`);
