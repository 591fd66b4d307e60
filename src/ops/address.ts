/** Addresses that a Worker may send secrets to or take keys from: encrypted, or of the developer's own computer. */
import { Misconfigured } from "./settings.ts";

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether a host is the computer that the Worker runs on. */
export function isLoopback(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

/**
 * Checks an address: `https:`, or `http:` on this computer. Does not repeat what it refuses, which may be a secret.
 *
 * @param name of the setting, for the message of the error
 * @throws Misconfigured
 */
export function checkAddress(address: string, name: string): string {
  const url = URL.parse(address);
  const isSafe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
  if (!isSafe) throw new Misconfigured(`${name} must be an https URL. An http URL is for localhost alone.`);
  return address;
}
