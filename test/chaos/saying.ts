/**
 * What chaos publishes: a text that is unique in the whole run, says to whom it was addressed and whether the room's
 * hook must refuse it, and can be made long. In records only its short form stands.
 */

/** One publication's text: `name.n`, then `>ann,bob` when it is addressed, `!` when the hook must throw, and padding. */
export function saying(name: string, n: number, to: readonly string[], breaks: boolean, length: number): string {
  const text = `${name}.${n}${to.length > 0 ? `>${to.join(",")}` : ""}${breaks ? "!" : ""}`;
  return length > text.length + 1 ? `${text} ${"x".repeat(length - text.length - 1)}` : text;
}

/** The short form: without the padding, but with its length, so that a text cut short is another one. */
export function brief(data: unknown): string {
  if (typeof data !== "string") return JSON.stringify(data);
  const at = data.indexOf(" ");
  return at < 0 ? data : `${data.slice(0, at)}+${data.length - at}`;
}

/** The users that a short form was addressed to; `undefined`: everyone. */
export function addressees(text: string): readonly string[] | undefined {
  return /^[^>!+]+>([^!+]+)/.exec(text)?.[1]?.split(",");
}

/** The client that said it, and which of its texts it was. */
export function authorOf(text: string): { name: string; n: number } | undefined {
  const match = /^([^.]+)\.(\d+)/.exec(text);
  return match ? { name: match[1] ?? "", n: Number(match[2]) } : undefined;
}

/** Whether the room's hook throws at it. */
export function isBroken(text: string): boolean {
  return text.includes("!");
}

/** About how many bytes it is. */
export function lengthOf(text: string): number {
  return text.length + Number(/\+(\d+)$/.exec(text)?.[1] ?? 0);
}
