/** docs/concepts/security.md cannot rot: every row names tests that exist, and what a row says of the source is true of it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** Cells of the rows of the table below a heading. */
function table(text: string, heading: string): string[][] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The tests that a cell names: `file`: "title", several with <br> between them. */
function named(cell: string): { file: string; title: string }[] {
  return cell.split("<br>").map((part) => {
    const [, file, title] = /^`([^`]+)`: "(.+)"$/.exec(part.trim()) ?? [];
    if (file === undefined || title === undefined) throw new Error(`names no test: ${part}`);
    return { file, title };
  });
}

/** Whether a source has a string that is this title, whole. */
function hasTitle(source: string, title: string): boolean {
  return [`"${title}"`, `'${title}'`, `\`${title}\``, `"${title.replaceAll('"', '\\"')}"`].some((text) =>
    source.includes(text),
  );
}

const rows = table(read("docs/concepts/security.md"), "Attacks");
const cited = rows.flatMap(([attack = "", , tests = ""]) => named(tests).map((test) => ({ attack, ...test })));

describe("the table of docs/concepts/security.md", () => {
  it("has every attack that was asked for", () => {
    const attacks = rows.map(([attack = ""]) => attack.toLowerCase());
    const wanted = [
      "forged",
      "expired",
      "alg none",
      "wrong key type",
      "audience or issuer",
      "another user's session",
      "cross-site websocket",
      "token in the url",
      "admission header",
      "oversized handshake",
      "oversized message",
      "flood of frames",
      "slow handshake",
      "room name",
      "prototype pollution",
      "log injection",
      "timing",
      "10,000 hostile sockets",
    ];
    expect(wanted.filter((word) => !attacks.some((attack) => attack.includes(word)))).toEqual([]);
  });

  it("has an attack, a defence and a test in every row", () => {
    expect(rows.length).toBeGreaterThan(18);
    for (const cells of rows) {
      expect(cells, cells[0]).toHaveLength(3);
      expect(cells.every((cell) => cell !== "")).toBe(true);
    }
  });

  it.each(cited)("names a test of $file that is there: $title", ({ file, title }) => {
    expect(file).toMatch(/^test\/(?:unit|workerd|isolate|e2e|browser|attack)\/[\w.-]+\.ts$/);
    expect(existsSync(join(root, file)), file).toBe(true);
    expect(hasTitle(read(file), title), `"${title}" in ${file}`).toBe(true);
  });

  it("notices a row whose test is gone", () => {
    expect(() => named("somewhere")).toThrow("names no test");
    expect(hasTitle('it("the title", () => {})', "the title")).toBe(true);
    expect(hasTitle('it("the title of another", () => {})', "the title")).toBe(false);
  });
});

describe("secrets", () => {
  const sources = readdirSync(join(root, "src"), { recursive: true })
    .map(String)
    .filter((path) => path.endsWith(".ts"))
    .map((path) => ({
      path,
      text: read(join("src", path))
        .replaceAll(/\/\*.*?\*\//gs, "")
        .replaceAll(/\/\/.*$/gm, ""),
    }));
  const word = String.raw`(?:\w*[sS]ecret|SECRET|\w*[sS]ignature|token|jwt|password|apiKey)\b(?!\.length)`;
  const compared = new RegExp(
    String.raw`(?<!typeof )\b${word}\)*\s*[!=]==?|[!=]==?\s*(?:\w+\()*${word}|\b${word}\.(?:startsWith|endsWith|includes|indexOf|localeCompare)\(`,
  );

  it("are never compared by hand: verification is jose's, in one place, and the scrape token's by its hash", () => {
    expect(sources.length).toBeGreaterThan(30);
    const server = sources.filter(({ path }) => !/^(?:client|react|cli)\//.test(path));
    // Reads the prefix of a secret of our own.
    const comparing = server.filter(({ text, path }) => path !== "ops/signature.ts" && compared.test(text));
    expect(comparing.map(({ path }) => path)).toEqual([]);
    const verifying = sources.filter(({ text }) => /\b(?:jwtVerify|compactVerify|timingSafeEqual)\b/.test(text));
    expect(verifying.map(({ path }) => path).toSorted()).toEqual(["http/gate/scraper.ts", "http/gate/verify.ts"]);
    expect(sources.find(({ path }) => path === "http/gate/verify.ts")?.text).toContain(
      "await jwtVerify(token, key, options)",
    );
  });

  it("would be noticed if they were", () => {
    for (const line of [
      "if (token === expected)",
      "return expected == secret;",
      "if (a.signature !== b)",
      'String(secret) === "x"',
      "x == hash(token)",
    ]) {
      expect(compared.test(line), line).toBe(true);
    }
    for (const line of ["if (secret.length === 0)", "tokenInUrl === true", "if (!token)"]) {
      expect(compared.test(line), line).toBe(false);
    }
  });

  it("and tokens never leave http/: the room's files do not know the word jose or a token's text", () => {
    const inside = sources.filter(({ path }) => path.startsWith("room/") || path.startsWith("protocol/"));
    expect(inside.filter(({ text }) => /\bjose\b|\bjwt\b|authorization|AUTH_SECRET/i.test(text))).toEqual([]);
  });
});
