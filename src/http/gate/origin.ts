/** Which web pages may connect. Programs other than browsers send no Origin and always may. */

/**
 * Whether a request may come from where it says.
 *
 * @param origin the Origin header, `null` when there is none
 * @param requestUrl what was asked for: its own origin is always allowed
 * @param allowed exact origins (`https://app.example.com`) and `*.example.com` for every https host below a domain
 */
export function isAllowedOrigin(origin: string | null, requestUrl: string, allowed: readonly string[]): boolean {
  if (origin === null) return true;
  // Sandboxed frames and files send "null", which is no origin and names nobody.
  const url = URL.parse(origin);
  if (url?.origin !== origin.toLowerCase()) return false;
  if (url.origin === URL.parse(requestUrl)?.origin) return true;
  return allowed.some((entry) => {
    if (!entry.startsWith("*.")) return URL.parse(entry)?.origin === url.origin;
    const domain = URL.parse(`https://${entry.slice(2)}`)?.hostname;
    return domain !== undefined && url.protocol === "https:" && url.hostname.endsWith(`.${domain}`);
  });
}

/**
 * Checks an allow-list when the app is made: an entry that can never match would otherwise be a silent mistake.
 *
 * @throws TypeError naming the entry
 */
export function checkOrigins(allowed: readonly string[]): void {
  for (const entry of allowed) {
    const url = URL.parse(entry.startsWith("*.") ? `https://${entry.slice(2)}` : entry);
    const isOrigin = url !== null && url.pathname === "/" && url.search === "" && !url.hostname.includes("*");
    if (!isOrigin || (entry.startsWith("*.") && url.port !== "") || !/^https?:$/.test(url.protocol)) {
      throw new TypeError(`an origin is "https://app.example.com" or "*.example.com", not ${JSON.stringify(entry)}`);
    }
  }
}
