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

/** What one household or server has: an IPv4 address, or the first half of an IPv6 one; nothing for this computer. */
export function addressKey(ip: string): string | undefined {
  if (ip === "" || isLoopback(ip) || isLoopback(`[${ip}]`)) return undefined;
  if (!ip.includes(":")) return ip.slice(0, 45);
  const [head = "", tail] = ip.toLowerCase().split("::", 2);
  const first = head.split(":").filter((part) => part !== "");
  const last = tail?.split(":").filter((part) => part !== "") ?? [];
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const parts = [...first, ...Array<string>(zeros).fill("0"), ...last];
  return parts
    .slice(0, 4)
    .map((part) => part.replace(/^0+(?=.)/, "").slice(0, 4))
    .join(":");
}
