/** Patterns of rooms, as tokens have them: the one matcher of the gate and of the directory. Knows nothing of grants. */

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
