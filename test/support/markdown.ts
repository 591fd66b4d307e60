/**
 * Links and headings of a Markdown text, as GitHub shows it. Knows nothing of files, nor of what a document is about.
 */

/** A text without its fenced blocks and comments: what looks like a link or a heading in them is none. */
const prose = (text: string) => text.replaceAll(/^( *)```[^]*?^\1```$/gm, "").replaceAll(/<!--[^]*?-->/g, "");

/** The targets of all links and images, in their order. Code in backquotes has no links. */
export function linksIn(text: string): string[] {
  const links = prose(text)
    .replaceAll(/(`+)(?!`)[^]*?[^`]\1(?!`)/g, (code) => (code.includes("\n\n") ? code : "`"))
    .matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)/gm);
  return [...links].map(([, inline, reference]) => inline ?? reference ?? "");
}

/** The anchors of all headings: lower case, blanks as dashes, other signs left out; a repeat gets a number. */
export function anchorsIn(text: string): Set<string> {
  const anchors = new Set<string>();
  const counts = new Map<string, number>();
  for (const [, heading = ""] of prose(text).matchAll(/^#{1,6} (.+?)(?: #+)?$/gm)) {
    const shown = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1");
    const slug = shown
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
      .trim()
      .replaceAll(" ", "-");
    const count = counts.get(slug) ?? 0;
    counts.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return anchors;
}
