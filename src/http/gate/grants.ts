/** What a token allows where: the `rooms` claim and its patterns, and what a token without that claim allows. */
import { grants as all, type GrantName } from "../../protocol/api.ts";
import { matches } from "../../protocol/patterns.ts";

/** What a token without a `rooms` claim may do in any room. */
const ORDINARY: readonly GrantName[] = ["join", "publish", "signal", "call"];

/**
 * The grants of a `rooms` claim in one room. Several patterns that match add up.
 *
 * @param claim the claim as it was signed: absent, or an object from patterns of `kind/room` (`*` stands for any run
 *   of characters) to arrays of grants. Anything else grants nothing.
 */
export function grantsIn(claim: unknown, kind: string, room: string): readonly GrantName[] {
  if (claim === undefined) return ORDINARY;
  if (typeof claim !== "object" || claim === null || Array.isArray(claim)) return [];
  const granted = new Set<unknown>();
  for (const [pattern, grants] of Object.entries(claim)) {
    if (Array.isArray(grants) && matches(pattern, `${kind}/${room}`)) for (const grant of grants) granted.add(grant);
  }
  return all.filter((grant) => granted.has(grant));
}

/** The patterns of rooms in which a `rooms` claim gives a grant. */
export function patternsWith(claim: unknown, grant: GrantName): readonly string[] {
  const entries: [string, unknown][] =
    typeof claim === "object" && claim !== null && !Array.isArray(claim) ? Object.entries(claim) : [];
  return entries.filter(([, grants]) => Array.isArray(grants) && grants.includes(grant)).map(([pattern]) => pattern);
}
