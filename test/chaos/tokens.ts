/** Tokens as an issuer would sign them, and as a careless program would hand them over. */
import { SignJWT } from "jose";
import type { Plan } from "./orders.ts";

/** Signs for one user; `ttl` in seconds can be negative. */
export async function sign(secret: string, user: string, ttl: number): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  return new SignJWT({ iat: now })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setExpirationTime(now + ttl)
    .sign(new TextEncoder().encode(secret));
}

/** Seconds that a token lives when nothing is to happen any more. */
const LASTING = 3_600;

/** The tokens of one client: some of a sloppy one's are over, or about to be. */
export class Tokens {
  readonly #secret: string;
  readonly #plan: Plan;
  readonly #random: () => number;
  #areLasting = false;
  #endsAt = 0;

  constructor(secret: string, plan: Plan, random: () => number) {
    this.#secret = secret;
    this.#plan = plan;
    this.#random = random;
  }

  /** When the newest of them runs out, in ms since the epoch. */
  get endsAt(): number {
    return this.#endsAt;
  }

  /** From now on they outlive the run: a connection that ends by its token is no longer wanted. */
  last(): void {
    this.#areLasting = true;
  }

  async next(): Promise<string> {
    const ttl = this.#areLasting ? LASTING : this.#ttl();
    this.#endsAt = Date.now() + ttl * 1_000;
    return sign(this.#secret, this.#plan.user, ttl);
  }

  #ttl(): number {
    const { ttl, sloppy } = this.#plan;
    return sloppy && this.#random() < 0.3 ? Math.floor(this.#random() * 4) - 2 : ttl;
  }
}
