/**
 * Which pages may connect. Programs other than browsers send no Origin and always may. Pure; knows the text of
 * `ALLOWED_ORIGINS`, not where it comes from.
 */

/** Schemes of apps whose pages are part of the app: their origins are no URLs of the web, and are compared as text. */
const APP_ORIGIN =
  /^(?:capacitor|ionic|tauri|app|chrome-extension|moz-extension|safari-web-extension):\/\/[a-z0-9._-]+$/;

/**
 * Whether a request may come from where it says.
 *
 * @param origin the Origin header, `null` when there is none
 * @param requestUrl what was asked for: its own origin is always allowed
 * @param allowed exact origins (`https://app.example.com`, `capacitor://localhost`) and `*.example.com` for every https host
 *   below a domain
 */
export function isAllowedOrigin(origin: string | null, requestUrl: string, allowed: readonly string[]): boolean {
  if (origin === null) return true;
  // Sandboxed frames and files send "null", which is no origin and names nobody.
  const own = originOf(origin);
  if (own === undefined || own !== origin.toLowerCase()) return false;
  if (own === URL.parse(requestUrl)?.origin) return true;
  return allowed.some((entry) => {
    if (!entry.startsWith("*.")) return originOf(entry) === own;
    const domain = domainIn(entry);
    const { protocol, hostname } = new URL(own);
    return domain !== undefined && protocol === "https:" && hostname.endsWith(`.${domain}`);
  });
}

/** The domain of a pattern; `undefined` for one such as `*.com`, which would let in what belongs to anybody. */
function domainIn(pattern: string): string | undefined {
  const domain = URL.parse(`https://${pattern.slice(2)}`)?.hostname;
  return domain !== undefined && /[^.]\.[^.]/.test(domain) ? domain : undefined;
}

/** An origin as it is compared: of a page of the web, or of an app. */
function originOf(text: string): string | undefined {
  const app = text.toLowerCase().replace(/\/$/, "");
  if (APP_ORIGIN.test(app)) return app;
  const url = URL.parse(text);
  return url && /^https?:$/.test(url.protocol) ? url.origin : undefined;
}

/** The entries of the environment's `ALLOWED_ORIGINS`: origins with commas between them. */
export function originsIn(env: object): readonly string[] {
  const { ALLOWED_ORIGINS: text } = env as { ALLOWED_ORIGINS?: unknown };
  if (text === undefined || text === null) return [];
  if (typeof text !== "string") return [typeof text];
  const entries = text.split(",").map((entry) => entry.trim());
  return entries.filter((entry) => entry !== "");
}

/**
 * What is wrong with an allow-list, as a sentence for anybody; `undefined` when every entry can match. An entry that never can
 * would otherwise be a silent mistake. Says which entry it is and not what is in it, which may be somebody's password.
 *
 * @param list what the list is called
 */
export function wrongOrigins(allowed: readonly unknown[], list: string): string | undefined {
  const wrong = allowed.findIndex((entry) => !isEntry(entry));
  return wrong === -1
    ? undefined
    : `Entry ${wrong + 1} of ${list} is no origin such as "https://app.example.com", "*.example.com" or "capacitor://localhost".`;
}

function isEntry(entry: unknown): boolean {
  if (typeof entry !== "string") return false;
  const isPattern = entry.startsWith("*.");
  if (!isPattern && APP_ORIGIN.test(entry.toLowerCase().replace(/\/$/, ""))) return true;
  const url = URL.parse(isPattern ? `https://${entry.slice(2)}` : entry);
  if (url === null || !/^https?:$/.test(url.protocol)) return false;
  if (isPattern && domainIn(entry) === undefined) return false;
  const isBare = url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return isBare && !url.hostname.includes("*") && !(isPattern && url.port !== "");
}
