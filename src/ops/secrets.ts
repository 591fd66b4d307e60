/**
 * Secrets of a Worker: a text (`wrangler secret put`) or a binding of the Secrets Store, and two that are good at once during
 * a rotation. Owns what was read from the store. Says by name what is wrong with a secret, and never what is in it. Knows
 * nothing of what secrets are for.
 */
import { withTimeout } from "../protocol/with-timeout.ts";
import { inBackground } from "./background.ts";
import { Misconfigured } from "./settings.ts";
import { UpstreamFailed } from "./upstream.ts";

/** A secret of the Secrets Store, as it is bound. */
export interface SecretBinding {
  get(): Promise<string>;
}

/** A secret as a Worker gets it. */
export type Secret = string | SecretBinding;

/** Throws for a text that cannot be the secret of this name. */
export type Check = (text: string, name: string) => unknown;

/** A secret as it was set, and what messages call it. */
export interface Named {
  readonly value: unknown;
  readonly name: string;
}

/** Secrets that are good at once. */
export interface Rotating {
  readonly current: string;
  /** The others. One that cannot be used rejects, alone: that is no reason to do without the current one. */
  readonly others: readonly Promise<string>[];
}

/** How long a secret from the store is used before it is read again in the background, in ms. */
const FRESH_MS = 60_000;
/** How old a secret gets before a request waits for the store, in ms: an isolate may have slept through a rotation. */
const OLD_MS = 300_000;
/** Between two tries to read a secret that is known, in ms. */
const RETRY_MS = 10_000;
/** How long the store has to answer, in ms. */
const STORE_TIMEOUT_MS = 5_000;
/** How long one that has answered before is waited for, in ms. */
const OLD_TIMEOUT_MS = 1_000;

interface Known {
  readonly value: string;
  readonly readAt: number;
  /** When the store is asked again, in ms since the epoch. */
  readonly nextTry: number;
}

/** Values by binding: the runtime has one binding object for an isolate. */
const known = new WeakMap<object, Known>();

/**
 * The secrets of the environment that are good at once: `NAME`, and during a rotation `NAME_PREVIOUS`; `undefined` when neither
 * is there. Both are read at the same time.
 *
 * @throws Misconfigured when there is only a previous one, or the current one is no secret
 * @throws UpstreamFailed when the store of the current one does not answer
 */
export async function rotatingIn(env: object, name: string, check: Check = () => true): Promise<Rotating | undefined> {
  const values = env as Readonly<Record<string, unknown>>;
  const named = [name, `${name}_PREVIOUS`].map((each) => ({ name: each, value: values[each] }));
  const present = named.filter(({ value }) => value !== undefined && value !== null);
  if (present.length === 1 && present[0]?.name !== name) {
    throw new Misconfigured(`${name}_PREVIOUS is set, and ${name} is not.`);
  }
  return rotating(present, check);
}

/**
 * Reads secrets of which the first is the current one; `undefined` when there is none.
 *
 * @throws Misconfigured when the current one is no secret
 * @throws UpstreamFailed when its store does not answer
 */
export async function rotating(secrets: readonly Named[], check: Check): Promise<Rotating | undefined> {
  const [current, ...others] = secrets.map(async ({ value, name }) => {
    const text = await secret(value, name);
    if (text === undefined) throw new Misconfigured(`${name} is undefined.`);
    check(text, name);
    return text;
  });
  for (const other of others) inBackground(other);
  return current && { current: await current, others };
}

/**
 * The secrets of the environment that are good at once, all of them: for signing, where one that is left out would be missed.
 *
 * @throws Misconfigured when there is only a previous one, or one is no secret
 * @throws UpstreamFailed when a store does not answer
 */
export async function secretsIn(env: object, name: string, check?: Check): Promise<readonly string[]> {
  const found = await rotatingIn(env, name, check);
  return found ? [found.current, ...(await Promise.all(found.others))] : [];
}

/**
 * The text of a secret; `undefined` when it is not there.
 *
 * @param name for the message of the error
 * @throws Misconfigured when it is empty, or neither text nor a binding of the Secrets Store
 * @throws UpstreamFailed when the store does not answer and this isolate has not read it before
 */
export async function secret(value: unknown, name: string): Promise<string | undefined> {
  if (value === undefined || value === null) return undefined;
  const text = typeof value === "string" ? value : isBinding(value) ? await stored(value, name) : undefined;
  if (typeof text !== "string") {
    throw new Misconfigured(`${name} must be a secret: a text, or a binding of the Secrets Store.`);
  }
  if (text === "") throw new Misconfigured(`${name} is empty. Set it, or take it away.`);
  return text;
}

function isBinding(value: unknown): value is SecretBinding {
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  return isObject && "get" in value && typeof value.get === "function";
}

/** While the store is out of reach the value that was read last stays good. */
async function stored(binding: SecretBinding, name: string): Promise<unknown> {
  const before = known.get(binding);
  if (!before) return readStore(binding, name, STORE_TIMEOUT_MS);
  const now = Date.now();
  if (now < before.nextTry) return before.value;
  // Other requests go on with the known value. This one may be cancelled: then another tries later.
  known.set(binding, { ...before, nextTry: now + RETRY_MS });
  const isOld = now - before.readAt >= OLD_MS;
  const reading = readStore(binding, name, isOld ? OLD_TIMEOUT_MS : STORE_TIMEOUT_MS);
  if (isOld) return reading.catch(() => before.value);
  inBackground(reading);
  return before.value;
}

async function readStore(binding: SecretBinding, name: string, timeout: number): Promise<unknown> {
  try {
    const value: unknown = await withTimeout(binding.get(), `the store of ${name}`, timeout);
    const readAt = Date.now();
    if (typeof value === "string") known.set(binding, { value, readAt, nextTry: readAt + FRESH_MS });
    return value;
  } catch (cause) {
    throw new UpstreamFailed("upstream_failed", `${name} cannot be read from its store`, { cause });
  }
}
