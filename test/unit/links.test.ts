/**
 * Every link in every Markdown file of the repository leads somewhere: to a file that is there, and to a heading of it. Other
 * files name documents too, in comments and in configuration: those are there as well.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsIn, linksIn } from "../support/markdown.ts";
import { root } from "../support/sources.ts";

const read = (path: string) => readFileSync(join(root, path), "utf8");
// Files that are new and not yet committed count too; ignored ones do not.
const files = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root })
  .toString()
  .split("\0")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const documents = files.filter((path) => path.endsWith(".md"));

/** Why a link of a document leads nowhere, or nothing. */
function wrong(document: string, target: string): string | undefined {
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? document : normalize(join(dirname(document), path));
  if (!existsSync(join(root, file))) return `${target}: no such file`;
  if (anchor === undefined) return undefined;
  return file.endsWith(".md") && anchorsIn(read(file)).has(anchor) ? undefined : `${target}: no such heading`;
}

describe("links", () => {
  it("there are documents with links", () => {
    expect(documents).toContain("README.md");
    expect(documents.flatMap((path) => linksIn(read(path))).length).toBeGreaterThan(100);
  });

  it.each(documents)("every link of %s leads to a file, and its anchor to a heading", (document) => {
    const local = linksIn(read(document)).filter((target) => !/^(?:https?:|mailto:)/.test(target));
    expect(local.flatMap((target) => wrong(document, target) ?? [])).toEqual([]);
  });

  it("a link into nothing is found: a file, a heading, a heading of another file", () => {
    expect(wrong("docs/README.md", "../README.md#use-it")).toBeUndefined();
    expect(wrong("docs/README.md", "nowhere.md")).toBe("nowhere.md: no such file");
    expect(wrong("docs/README.md", "#nowhere")).toBe("#nowhere: no such heading");
    expect(wrong("docs/README.md", "../README.md#nowhere")).toBe("../README.md#nowhere: no such heading");
  });

  it("headings become anchors as on GitHub: code, links, signs, repeats", () => {
    const text = "# A `room.sql`, and [more](x.md)!\n\n```sh\n# none\n```\n\n## 18. Codes\n\n## Twice\n\n## Twice\n";
    expect([...anchorsIn(text)]).toEqual(["a-roomsql-and-more", "18-codes", "twice", "twice-1"]);
  });
});

describe("documents that other files name", () => {
  const texts = files.filter((path) => /\.(?:[cm]?[jt]sx?|toml|ya?ml|json|html|css)$/.test(path));

  it("are there, wherever a comment, a test or a configuration names one below docs/", () => {
    const named = texts.flatMap((path) =>
      [...read(path).matchAll(/(?<![\w/])docs\/[\w/-]+\.md\b/g)].map(([document]) => ({ path, document })),
    );
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter(({ document }) => !existsSync(join(root, document)));
    expect(missing.filter(({ document }) => document !== "docs/wrong.md")).toEqual([]);
  });
});

describe("the folders of docs/", () => {
  it("hold every document: on top are only the index and the design", () => {
    const kinds = documents.filter((path) => path.startsWith("docs/")).map((path) => path.split("/")[1] ?? "");
    const onTop = ["README.md", "concepts", "design.md", "guides", "reference", "start"];
    expect(kinds.filter((kind) => !onTop.includes(kind))).toEqual([]);
    expect(onTop.filter((kind) => !kinds.includes(kind))).toEqual([]);
  });

  it("are all in the index", () => {
    const index = linksIn(read("docs/README.md")).map((target) => normalize(join("docs", target.replace(/#.*/, ""))));
    expect(documents.filter((path) => path.startsWith("docs/") && !index.includes(path))).toEqual(["docs/README.md"]);
  });
});
