/** Where the page's token comes from: a Worker in development, or a person. Kept for this tab only, and forgotten. */
import { request } from "./api.js";

const KEPT = "edgerooms-inspect:token";
/** An operator of all rooms, and a member of none. */
const CLAIMS = { sub: "inspector", rooms: { "*": ["admin"] } };

export class Tokens {
  token;
  #isOurs = false;

  /** The token from before a reload, else one of development; undefined when there is none. */
  async first() {
    this.token = storage((kept) => kept.getItem(KEPT)) ?? undefined;
    return this.token ?? (await this.develop());
  }

  /** A token that the Worker signs itself, in development. Undefined elsewhere. */
  async develop() {
    try {
      const { token } = await request("POST", "dev/token", { body: CLAIMS });
      this.#isOurs = true;
      this.token = token;
    } catch {
      this.token = undefined; // not in development, or out of reach: a person has to help
    }
    return this.token;
  }

  /** Another one in place of one that was refused; only what was not pasted can be had anew. */
  async renew() {
    return this.#isOurs ? this.develop() : undefined;
  }

  paste(token) {
    this.#isOurs = false;
    this.token = token.trim().replace(/^Bearer\s+/i, "");
    storage((kept) => kept.setItem(KEPT, this.token));
  }

  forget() {
    this.token = undefined;
    this.#isOurs = false;
    storage((kept) => kept.removeItem(KEPT));
  }
}

/** Where storage is forbidden, a reload asks again. */
function storage(use) {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}
