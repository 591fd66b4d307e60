/**
 * What the environment of a Worker says: texts, lists and secrets by name. A secret is a text (`wrangler secret put`) or a
 * binding of the Secrets Store. Says by name what is wrong with a setting, and never what is in it. Knows nothing of what
 * the settings are for.
 */
import { withTimeout } from "../protocol/with-timeout.ts";
import { UpstreamFailed } from "./upstream.ts";

/** A secret of the Secrets Store, as it is bound. */
export interface SecretBinding {
  get(): Promise<string>;
}

/** A secret as a Worker gets it. */
export type Secret = string | SecretBinding;

/** The deployer has to set something, or to set it right. The message names it, and is fit for anybody. */
export class Misconfigured extends Error {
  override readonly name = "Misconfigured";
}

/** How long a secret from the store is used before it is read again, in ms; a rotation has two secrets that are good. */
const KEPT_MS = 60_000;
/** How long the store has to answer, in ms. */
const STORE_TIMEOUT_MS = 5_000;

/** Values by binding: the runtime has one binding object for an isolate. */
const read = new WeakMap<object, { readonly value: string; readonly until: number }>();

/**
 * A text of the environment; `undefined` when it is not there.
 *
 * @throws Misconfigured when it is empty or no text: what somebody meant to set must not count as absent
 */
export function textIn(env: object, name: string): string | undefined {
  const value = (env as Readonly<Record<string, unknown>>)[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw new Misconfigured(`${name} must be a text.`);
  if (value.trim() === "") throw new Misconfigured(`${name} is empty. Set it, or take it away.`);
  return value;
}

/**
 * A text of the environment with several values, separated by commas; `undefined` when it is not there.
 *
 * @throws Misconfigured when it is empty or no text
 */
export function listIn(env: object, name: string): readonly string[] | undefined {
  const parts = textIn(env, name)?.split(",");
  const values = parts?.map((part) => part.trim()).filter((part) => part !== "");
  if (values?.length === 0) throw new Misconfigured(`${name} is empty. Set it, or take it away.`);
  return values;
}

/**
 * The secrets of the environment that are good at once: `NAME`, and during a rotation `NAME_PREVIOUS`; none when neither is
 * there.
 *
 * @throws Misconfigured when there is only a previous one, or one is no secret
 * @throws UpstreamFailed when the store does not answer
 */
export async function secretsIn(env: object, name: string): Promise<readonly string[]> {
  const values = env as Readonly<Record<string, unknown>>;
  const current = await secret(values[name], name);
  const previous = await secret(values[`${name}_PREVIOUS`], `${name}_PREVIOUS`);
  if (current === undefined && previous !== undefined) {
    throw new Misconfigured(`${name}_PREVIOUS is set, and ${name} is not.`);
  }
  return [current, previous].filter((value) => value !== undefined);
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
  const known = read.get(binding);
  if (known && Date.now() < known.until) return known.value;
  try {
    const value: unknown = await withTimeout(binding.get(), `the store of ${name}`, STORE_TIMEOUT_MS);
    if (typeof value === "string") read.set(binding, { value, until: Date.now() + KEPT_MS });
    return value;
  } catch (cause) {
    if (known) return known.value;
    throw new UpstreamFailed("upstream_failed", `${name} cannot be read from its store`, { cause });
  }
}
