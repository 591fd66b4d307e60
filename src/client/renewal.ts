/** The token: asked for before each connection and again before it runs out, then handed to the room over HTTP. */
import type { ConnectOptions } from "./options.ts";

/** How long before its end a token is replaced, in ms, at most; else at half of what is left. */
const AHEAD = 60_000;
/** The longest a timer can wait. */
const LONGEST = 2 ** 31 - 1;

/** The token of one client. */
export class Renewal {
  readonly #token: ConnectOptions["token"];
  readonly #address: string;

  constructor(token: ConnectOptions["token"], address: string) {
    this.#token = token;
    this.#address = address;
  }

  async token(): Promise<string> {
    return typeof this.#token === "string" ? this.#token : this.#token();
  }

  /** Milliseconds until the next token is due; `undefined` for a token that cannot be replaced. */
  dueIn(expires: number, now: number): number | undefined {
    if (typeof this.#token === "string") return undefined;
    const left = Math.max(0, expires - now);
    return Math.min(LONGEST, left - Math.min(AHEAD, left / 2));
  }

  /** Gets a token and gives it to the session. Returns when that one runs out. */
  async renew(session: string): Promise<number> {
    const response = await fetch(this.#address, {
      method: "POST",
      headers: { authorization: `Bearer ${await this.token()}`, "content-type": "application/json" },
      body: JSON.stringify({ session }),
    });
    if (!response.ok) throw new Error(`the new token was refused: ${response.status}`);
    const { expires } = (await response.json()) as { expires: number };
    return expires;
  }
}
