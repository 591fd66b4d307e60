/**
 * Where the client's tokens come from: the Worker itself while it is in development, else a person who pastes one.
 * Counts what a look at the connection does not show: tokens replaced while it stayed open.
 */

/** Seconds that a short token is good for, and how much longer the Worker takes one: clocks differ. */
const SHORT = 2;
const TOLERANCE = 10;

export class Tokens {
  /** Whether the next tokens are short ones. */
  short = false;
  /** Whether the Worker hands out tokens: unknown before the first answer. */
  isDevelopment;
  /** When the newest one runs out, in ms since the epoch. */
  expires = 0;
  /** How often it was replaced without a new connection. */
  refreshed = 0;
  /** The person as the token names them. */
  subject;
  #person;
  #isOpen;
  #onNeed;
  #last;
  #pasted;

  /**
   * @param person who asks
   * @param isOpen whether there is a connection
   * @param onNeed told `true` when somebody has to paste a token, `false` when one is there
   */
  constructor(person, isOpen, onNeed) {
    this.#person = person;
    this.#isOpen = isOpen;
    this.#onNeed = onNeed;
    this.subject = person.id;
  }

  /** A token for the next connection, or for this one when it is open. */
  async next(isOffline) {
    if (isOffline && this.#last) return this.#last; // the socket will fail, as it would
    const isRefresh = this.#isOpen();
    const token = (this.isDevelopment === false ? undefined : await this.#fetch()) ?? (await this.#ask(isRefresh));
    const { sub, exp } = claims(token);
    this.#last = token;
    this.subject = sub ?? this.#person.id;
    this.expires = exp === undefined ? 0 : (exp + TOLERANCE) * 1_000;
    if (isRefresh) this.refreshed++;
    return token;
  }

  /** A token somebody pasted. */
  paste(token) {
    const { resolve } = this.#pasted ?? {};
    this.#pasted = undefined;
    this.isDevelopment = false;
    this.#last = token;
    this.#onNeed(false);
    resolve?.(token);
  }

  /** Gives the session a token that is about to run out, and says nothing of it to the client. */
  async expireSoon(room, session) {
    const token = await this.#fetch();
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = JSON.stringify({ session });
    const response = await fetch(`rooms/${encodeURIComponent(room)}/session`, { method: "POST", headers, body });
    if (response.ok) this.expires = (await response.json()).expires;
  }

  async #fetch() {
    const { id: sub, name } = this.#person;
    const body = JSON.stringify({ sub, name, ...(this.short && { ttl: SHORT }) });
    const headers = { "content-type": "application/json" };
    const response = await fetch("dev/token", { method: "POST", headers, body, signal: AbortSignal.timeout(10_000) });
    this.isDevelopment ??= response.ok;
    if (response.ok) return (await response.json()).token;
    if (response.status === 404) return undefined;
    throw new Error(`HTTP ${response.status}`);
  }

  /** What was pasted, as long as it is good; then waits for the next one. */
  #ask(isRefresh) {
    const { exp } = this.#last ? claims(this.#last) : {};
    if (this.#last && !isRefresh && !((exp + TOLERANCE) * 1_000 < Date.now())) return this.#last;
    this.#onNeed(true);
    return new Promise((resolve) => (this.#pasted = { resolve }));
  }
}

/** What a token says, unverified: that is the Worker's business. */
function claims(token) {
  try {
    const bytes = Uint8Array.from(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (unit) =>
      unit.codePointAt(0),
    );
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}
