/** Token buckets by key, bounded, and what of a network address is a key. Pure arithmetic; the time is handed in. */
import { isLoopback } from "../../ops/address.ts";

/** How fast, and how much at once. */
export interface Pace {
  readonly perSecond: number;
  readonly burst: number;
}

/** Keys that are remembered for each limit, at least; twice as many at most, a few dozen bytes each. */
const KEYS = 5_000;

interface Bucket {
  tokens: number;
  /** When they were counted, in ms since the epoch. */
  at: number;
}

/** Buckets by key, of one pace. Keys that were not used for a while are forgotten, which fills their buckets. */
export class Buckets {
  readonly #pace: Pace;
  #young = new Map<string, Bucket>();
  #old = new Map<string, Bucket>();

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  /** Takes one. Returns 0, or after how many ms there is one. */
  take(key: string, now: number): number {
    const { perSecond, burst } = this.#pace;
    const bucket = this.#young.get(key) ?? this.#old.get(key) ?? { tokens: burst, at: now };
    const gained = (Math.max(0, now - bucket.at) * perSecond) / 1_000;
    const tokens = Math.min(burst, bucket.tokens + gained);
    this.#remember(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: Math.max(now, bucket.at) });
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1_000);
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#young.size + this.#old.size;
  }

  #remember(key: string, bucket: Bucket): void {
    if (this.#young.size >= KEYS && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(key);
    this.#young.set(key, bucket);
  }
}

/** What every Worker outside of our own zone comes from, as Cloudflare says: no address of anybody. */
const WORKERS = "2a06:98c0:3600:0:0:0:0:103";
/** How IPv4 in IPv6 begins: the two groups after it are the address. */
const MAPPED = "0:0:0:0:0:ffff:";

/**
 * What one household or server has: an IPv4 address, or the first half of an IPv6 one; nothing for this computer, and for a
 * Worker of somebody else.
 */
export function addressKey(ip: string): string | undefined {
  if (ip === "" || isLoopback(ip) || isLoopback(`[${ip}]`)) return undefined;
  if (!ip.includes(":")) return ip.slice(0, 45);
  const groups = groupsOf(ip);
  const whole = groups.join(":");
  if (whole === WORKERS) return undefined;
  if (whole.startsWith(MAPPED)) return addressKey(groups.slice(6, 8).flatMap(bytesOf).join("."));
  return groups.slice(0, 4).join(":");
}

/** The groups of an IPv6 address without leading zeros; eight, when it is one. */
function groupsOf(ip: string): string[] {
  const [head = "", tail] = ip.toLowerCase().slice(0, 45).split("::", 2);
  const first = partsOf(head);
  const last = partsOf(tail ?? "");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  return [...first, ...Array<string>(zeros).fill("0"), ...last];
}

function partsOf(text: string): string[] {
  return text
    .split(":")
    .filter((part) => part !== "")
    .flatMap((part) => (part.includes(".") ? fromDotted(part) : [part.replace(/^0+(?=.)/, "").slice(0, 4)]));
}

/** An IPv4 address as two groups. */
function fromDotted(text: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = text.split(".").map(Number);
  return [a * 256 + b, c * 256 + d].map((group) => group.toString(16).slice(0, 4));
}

function bytesOf(group: string): number[] {
  const value = Number.parseInt(group, 16);
  return [value >> 8, value & 255];
}
