/** Whether a request is the scraper's: the one secret that is compared here, by its hash. */
import { rotatingIn, type Rotating } from "../../ops/secrets.ts";
import { Misconfigured } from "../../ops/settings.ts";
import { reportUnusable } from "../observe.ts";
import { denial } from "../thrown.ts";
import type { Denied } from "../request.ts";

/** Bytes of a scrape token, at least: it is random, and nobody types it. */
const MIN_TOKEN_BYTES = 16;

/**
 * Whether a request has `METRICS_TOKEN`, or during a rotation `METRICS_TOKEN_PREVIOUS`, as its `Authorization`. A token that
 * cannot be used, such as one that is too short, is a refusal to hand on unless the caller gets in by other means.
 */
export async function isScraper(request: Request, env: object): Promise<boolean | Denied> {
  try {
    const tokens = await scraperTokens(env);
    const [scheme = "", given = ""] = (request.headers.get("authorization") ?? "").split(/ +/, 2);
    if (!tokens || scheme.toLowerCase() !== "bearer" || given === "") return false;
    if (await same(given, tokens.current)) return true;
    for (const other of tokens.others) if (await same(given, await other)) return true;
    return false;
  } catch (error) {
    return denial(error, env);
  }
}

/**
 * What keeps a scraper's token from being used.
 *
 * @throws Misconfigured when one is no secret, or too short
 * @throws UpstreamFailed when a store does not answer
 */
export async function checkScraperTokens(env: object): Promise<void> {
  await Promise.all((await scraperTokens(env))?.others ?? []);
}

async function scraperTokens(env: object): Promise<Rotating | undefined> {
  const found = await rotatingIn(env, "METRICS_TOKEN", (text, name) => {
    if (new TextEncoder().encode(text).length >= MIN_TOKEN_BYTES) return;
    throw new Misconfigured(`${name} must have ${MIN_TOKEN_BYTES} bytes or more.`);
  });
  if (found) reportUnusable(found);
  return found;
}

/** Compares secrets by their hashes, so that the time it takes says nothing about them. */
async function same(given: string, expected: string): Promise<boolean> {
  const hash = async (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return crypto.subtle.timingSafeEqual(await hash(given), await hash(expected));
}
