/**
 * What the environment of a Worker says: texts and lists by name; secrets are in secrets.ts. Says by name what is wrong with
 * a setting, and never what is in it. Knows nothing of what the settings are for.
 */

/** The deployer has to set something, or to set it right. The message names it, and is fit for anybody. */
export class Misconfigured extends Error {
  override readonly name = "Misconfigured";
}

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
