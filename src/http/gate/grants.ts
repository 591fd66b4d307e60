/** What a token allows where: the `rooms` claim and its patterns, and what a token without that claim allows. */
import { grants as all, type GrantName } from "../../protocol/api.ts";

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

/** Whether a `rooms` claim gives a grant for any pattern of rooms. */
export function grantsAnywhere(claim: unknown, grant: GrantName): boolean {
  const patterns: unknown[] = typeof claim === "object" && claim !== null ? Object.values(claim) : [];
  return patterns.some((grants) => Array.isArray(grants) && grants.includes(grant));
}

/**
 * Whether a text matches a pattern in which `*` stands for any run of characters. Greedy with one step back: linear in
 * practice and never worse than pattern times text, whatever is in a token.
 */
export function matches(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resumeAt = 0;
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      resumeAt = t;
    } else if (pattern[p] === text[t]) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resumeAt;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
