/**
 * The snippets of the README and of docs/ are code: TypeScript compiles against the source, JavaScript is bundled with it, JSON
 * and TOML are read, shell commands parse. What readers fill in themselves is declared in test/docs. What must run is played elsewhere:
 * test/package/tutorial.test.ts, the page in test/browser/tutorial.test.ts, and the frames of docs/reference/protocol.md in docs.test.ts.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { afterAll, describe, expect, it } from "vitest";
import { experimental_readRawConfig as readRawConfig } from "wrangler";
import { fileNameOf, snippetsIn, snippetsOf, type Snippet } from "../support/snippets.ts";
import { filesBelow, root } from "../support/sources.ts";

const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
const folder = mkdtempSync(join(tmpdir(), "edgerooms-snippets-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// docs/reference/api is the compiler's own output: api-docs.test.ts.
const documents = ["README.md", ...filesBelow("docs")].filter(
  (path) => path.endsWith(".md") && !path.startsWith("docs/reference/api/"),
);
const snippets = documents.flatMap(snippetsOf);
const of = (...languages: string[]) => snippets.filter(({ language }) => languages.includes(language));
const code = of("ts", "tsx");

/** Blocks that nothing here reads: output of programs, requests, queries and drawings. */
const READ_BY_PEOPLE = ["console", "http", "sql", "text", ""];

/** Where a snippet runs: beside rooms, or with the client. */
function sideOf({ text, language, document }: Snippet): "server" | "front" {
  if (language === "tsx") return "front";
  if (/from "edgerooms"|from "vitest|\broom\.(?:sql|defer|schedule)\b|extends Room</.test(text)) return "server";
  return /\bconnect\b|from "edgerooms\/client"/.test(text) || document.endsWith("client.md") ? "front" : "server";
}

/** A snippet with an import is a program: it must import all that it takes from the package. Others are pieces of one. */
const isProgram = ({ text }: Snippet) => /^(?:import|export \{.*\} from) /m.test(text);

/** What a compiler is given of a snippet: hooks that stand without their definition get one. */
function asModule({ text }: Snippet): string {
  const isHooks = /^\w+\(.*\) \{$/m.test(text.split("\n")[0] ?? "") && text.trimEnd().endsWith("},");
  return `${isHooks ? `defineRoom({\n${text}\n});` : text}\nexport {};\n`;
}

const entries = {
  edgerooms: "server.ts",
  "edgerooms/client": "client/client.ts",
  "edgerooms/members": "client/members.ts",
  "edgerooms/react": "react/react.ts",
};
const paths = {
  ...Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, [join(root, "src", file)]])),
  // Here the plugin has the name that it had before.
  "@cloudflare/vitest-plugin": [join(root, "node_modules/@cloudflare/vitest-pool-workers")],
};
/** As strict as the source is compiled, but for what an excerpt cannot keep: to use all that it declares. */
const SETTINGS = {
  noUnusedLocals: false,
  noUnusedParameters: false,
  verbatimModuleSyntax: false,
  jsx: "react-jsx",
  paths,
};
const SIDES = {
  server: {
    lib: ["ESNext"],
    types: ["@cloudflare/workers-types", "@cloudflare/vitest-pool-workers/types", "node"],
  },
  front: { lib: ["ESNext", "DOM", "DOM.Iterable"], types: ["node"] },
};

/** What the compiler says of snippets, with the documents' own lines in front. */
function compile(side: keyof typeof SIDES, chosen: readonly Snippet[], isPieces: boolean): string[] {
  const place = mkdtempSync(join(folder, `${side}-`));
  symlinkSync(join(root, "node_modules"), join(place, "node_modules"));
  const given = ["given.d.ts", `given-${side}.d.ts`, ...(isPieces ? [`package-${side}.d.ts`] : [])];
  const names = chosen.map((snippet) => {
    // A file that its document names is there under that name: another one may import it.
    const name = fileNameOf(snippet);
    const own = name?.endsWith(`.${snippet.language}`) ? name : `line-${snippet.line}.${snippet.language}`;
    return join(snippet.document.replaceAll(/[/.]/g, "-"), own);
  });
  for (const [i, snippet] of chosen.entries()) {
    const file = join(place, names[i] ?? "");
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, asModule(snippet));
  }
  expect(new Set(names).size, "each file is there once").toBe(names.length);
  const files = [...names, ...given.map((name) => join(root, "test/docs", name))];
  writeFileSync(
    join(place, "tsconfig.json"),
    JSON.stringify({
      extends: join(root, "tsconfig.json"),
      compilerOptions: { ...SETTINGS, ...SIDES[side] },
      files,
      include: [],
    }),
  );
  const { stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", ".", "--pretty", "false"], {
    cwd: place,
    encoding: "utf8",
  });
  return (stdout + stderr).split("\n").filter((line) => line !== "");
}

describe("snippets", () => {
  it("there are snippets, each with a language that is checked or named here", () => {
    expect(code.length).toBeGreaterThan(10);
    const known = ["ts", "tsx", "js", "json", "toml", "sh", "html", ...READ_BY_PEOPLE];
    const strange = snippets.filter(({ language }) => !known.includes(language));
    expect(strange.map(({ document, line, language }) => `${document}:${line} ${language}`)).toEqual([]);
  });

  const kinds = (["server", "front"] as const).flatMap((side) => [
    { side, what: "programs", isPieces: false },
    { side, what: "pieces", isPieces: true },
  ]);
  it.each(kinds)("T21: $what with the $side compile", ({ side, isPieces }) => {
    const chosen = code.filter((snippet) => sideOf(snippet) === side && isProgram(snippet) !== isPieces);
    expect(chosen).not.toEqual([]);
    expect(compile(side, chosen, isPieces)).toEqual([]);
  });

  it("a snippet with a mistake, or without its imports, does not compile", () => {
    const wrong = snippetsIn(
      '```ts\nimport { Room } from "edgerooms";\nconst rooms = defineRoom({ retain: "many" });\n```\n',
      "docs/wrong.md",
    );
    expect(compile("server", wrong, false).join("\n")).toContain("docs-wrong-md/line-1.ts(2,15): error TS2304");
    const typed = snippetsIn("```ts\nconst room = connect(url, { rooms: 1 });\n```\n", "docs/wrong.md");
    expect(compile("front", typed, true).join("\n")).toContain("'rooms' does not exist");
  });

  it.each(of("js").map((snippet) => [`${snippet.document}:${snippet.line}`, snippet.text]))(
    "%s is JavaScript, and what it imports exists",
    async (_, text) => {
      const alias = Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, join(root, "src", file)]));
      const built = await build({
        stdin: { contents: text, resolveDir: root },
        bundle: true,
        platform: "node",
        format: "esm",
        alias,
        write: false,
        logLevel: "silent",
      });
      expect(built.warnings).toEqual([]);
    },
  );

  it.each(of("json").map((snippet) => [`${snippet.document}:${snippet.line}`, snippet.text]))(
    "%s is JSON",
    (_, text) => {
      expect(() => JSON.parse(text) as unknown).not.toThrow();
    },
  );

  it.each(of("toml").map((snippet) => [`${snippet.document}:${snippet.line}`, snippet.text]))(
    "%s is TOML",
    (_, text) => {
      mkdirSync(join(folder, "toml"), { recursive: true });
      const config = join(folder, "toml/wrangler.toml");
      writeFileSync(config, text);
      expect(Object.keys(readRawConfig({ config }).rawConfig)).not.toEqual([]);
    },
  );

  it.each(of("sh").map((snippet) => [`${snippet.document}:${snippet.line}`, snippet.text]))(
    "%s is shell",
    (_, text) => {
      const { status, stderr } = spawnSync("bash", ["-n"], { input: text, encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    },
  );
});

it("the README has at most 120 lines, and the server and the client in it at most 20 and 11", () => {
  const lines = (text: string) => text.trimEnd().split("\n").length;
  const withoutBlanks = (snippet?: Snippet) => (snippet?.text ?? "").replaceAll(/^\s*\n/gm, "");
  const [server] = snippets.filter(({ document, language }) => document === "README.md" && language === "ts");
  const [client] = snippets.filter(({ document, language }) => document === "README.md" && language === "js");
  expect(lines(readFileSync(join(root, "README.md"), "utf8"))).toBeLessThanOrEqual(120);
  expect(lines(withoutBlanks(server))).toBeLessThanOrEqual(20);
  expect(lines(withoutBlanks(client))).toBeLessThanOrEqual(11);
});
