/** Whether a request is the scraper's: the one secret that is compared here, by its hash. */
import { Misconfigured, secretsIn } from "../../ops/settings.ts";
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
    const tokens = await scraperSecrets(env);
    const [scheme = "", given = ""] = (request.headers.get("authorization") ?? "").split(/ +/, 2);
    if (scheme.toLowerCase() !== "bearer" || given === "") return false;
    const matches = await Promise.all(tokens.map(async (token) => same(given, token)));
    return matches.includes(true);
  } catch (error) {
    return denial(error, env);
  }
}

/**
 * The tokens that a scraper may have; none when there is none.
 *
 * @throws Misconfigured when one is no secret, or too short
 */
export async function scraperSecrets(env: object): Promise<readonly string[]> {
  const tokens = await secretsIn(env, "METRICS_TOKEN");
  if (tokens.some((token) => new TextEncoder().encode(token).length < MIN_TOKEN_BYTES)) {
    throw new Misconfigured(`METRICS_TOKEN must have ${MIN_TOKEN_BYTES} bytes or more.`);
  }
  return tokens;
}

/** Compares secrets by their hashes, so that the time it takes says nothing about them. */
async function same(given: string, expected: string): Promise<boolean> {
  const hash = async (text: string) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return crypto.subtle.timingSafeEqual(await hash(given), await hash(expected));
}
