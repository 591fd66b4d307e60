// `npm run api`: writes docs/reference/api, all that the package exports, as the compiler declares it. With `--check` it writes nothing and
// ends with 1 when a file is not what it would write. TypeScript 7 has no compiler that typedoc could load, so the declarations are
// read as text: tsc writes one statement after the other, each from the first column on.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { format, resolveConfig } from "prettier";

const root = join(import.meta.dirname, "..");
const target = join(root, "docs/reference/api");
const entries = [
  ["server", "edgerooms", "server.d.ts"],
  ["client", "edgerooms/client", "client/client.d.ts"],
  ["members", "edgerooms/members", "client/members.d.ts"],
  ["react", "edgerooms/react", "react/react.d.ts"],
];
/** What the page of the client shows, so that those of the hooks and of the members need not. */
const clientNames = [];

const place = mkdtempSync(join(tmpdir(), "edgerooms-api-"));
const stale = [];
try {
  const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json", "--outDir", place], {
    cwd: root,
    stdio: "inherit",
  });
  for (const [name, specifier, path] of entries) {
    const file = join(target, `${name}.md`);
    const config = await resolveConfig(file);
    const text = await format(page(specifier, join(place, path)), { ...config, filepath: file });
    if (!process.argv.includes("--check")) writeFileSync(file, text);
    else if (text !== current(file)) stale.push(relative(root, file));
  }
} finally {
  rmSync(place, { recursive: true, force: true });
}
if (stale.length > 0) {
  console.error(`Not as the source has it: ${stale.join(", ")}. Run \`npm run api\`.`);
  process.exit(1);
}

function current(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** The document of an entry: its exports in alphabetical order, then the types that they name and it does not export. */
function page(specifier, entry) {
  const shown = new Map();
  const exported = exportsOf(entry);
  for (const [name, found] of exported) shown.set(name, found);
  const known = ["edgerooms/members", "edgerooms/react"].includes(specifier) ? new Set(clientNames) : new Set();
  const named = [...shown.values()].flatMap((found) => [...namedIn(found)]);
  const more = new Map(named.filter(([name]) => !shown.has(name) && !known.has(name)));
  if (specifier === "edgerooms/client") clientNames.push(...shown.keys(), ...more.keys());
  const list = (all) => [...all].toSorted(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)).map(section);
  const others = more.size > 0 ? ["# Types that these name\n\nNot exported by name.", ...list(more)] : [];
  return [
    `# ${specifier}\n\nAll that \`${specifier}\` exports. Written by \`npm run api\` from the source; a test compares them.`,
    ...(known.size > 0 ? ["Types of the client are in [client.md](client.md)."] : []),
    ...list(shown),
    ...others,
  ].join("\n\n");
}

function section([name, { comment, shown: code }]) {
  return [`## ${name}`, prose(comment), `\`\`\`ts\n${code}\n\`\`\``].filter((part) => part !== "").join("\n\n");
}

/** A comment as text: tags become a list, links names. */
function prose(comment) {
  const lines = comment
    .replace(/^\/\*\*|\*\/$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, "").trim());
  return lines
    .join("\n")
    .replaceAll(/\{@link (\w+)\}/g, "`$1`")
    .replaceAll(/^@param (\w+) (.*)$/gm, "- `$1`: $2")
    .replaceAll(/^@throws (\w+)(.*)$/gm, "- throws `$1`$2")
    .replaceAll(/^@returns (.*)$/gm, "- returns $1")
    .trim();
}

/** The declarations that a module exports, its own and those of others, by name. */
function exportsOf(path) {
  const found = new Map();
  for (const statement of statementsOf(path)) {
    const again = /^export (?:type )?\{([^}]*)\} from "([^"]+)"/.exec(statement.code);
    if (again) {
      const theirs = exportsOf(resolve(path, again[2]));
      for (const [name, as] of namesIn(again[1])) if (theirs.has(name)) found.set(as, theirs.get(name));
    } else if (statement.name && statement.code.startsWith("export ")) found.set(statement.name, statement);
  }
  return found;
}

/** The declarations that the text of another one names: of its own module, or imported from one of ours. */
function namedIn({ path, shown: code }) {
  const scope = new Map(statementsOf(path).flatMap((each) => (each.name ? [[each.name, each]] : [])));
  for (const { code: line } of statementsOf(path)) {
    const [, names, from] = /^import (?:type )?\{([^}]*)\} from "(\.[^"]+)"/.exec(line) ?? [];
    if (!names) continue;
    const theirs = exportsOf(resolve(path, from));
    for (const [name, as] of namesIn(names)) if (theirs.has(name)) scope.set(as, theirs.get(name));
  }
  const words = new Set(code.replaceAll(/\/\*[^]*?\*\//g, "").match(/\b[A-Z]\w*/g));
  return new Map([...scope].filter(([name]) => words.has(name)));
}

function namesIn(list) {
  return [...list.matchAll(/(?:type )?(\w+)(?: as (\w+))?/g)].map(([, name, as = name]) => [name, as]);
}

function resolve(path, specifier) {
  return join(dirname(path), specifier.replace(/\.[jt]s$/, ".d.ts"));
}

/** The statements of a declaration file, each with the comment before it. What is private is left out. */
function statementsOf(path) {
  const statements = [];
  let lines = [];
  let depth = 0;
  for (const line of readFileSync(path, "utf8").split("\n")) {
    lines.push(line);
    const bare = line.replaceAll(/"[^"]*"|\/\*.*?\*\/|\/\/.*|^\s*(?:\/\*\*|\*).*/g, "");
    for (const sign of bare) depth += "{([".includes(sign) ? 1 : "})]".includes(sign) ? -1 : 0;
    if (depth !== 0 || !/[;}]$/.test(bare.trim())) continue;
    const text = lines.join("\n").trim();
    lines = [];
    // Of several comments only the last is the statement's own.
    const [, comment = "", code = text] =
      /^(?:\/\*\*[^]*?\*\/\s*)*?(\/\*\*(?:(?!\*\/)[^])*\*\/)\n((?!\/\*)[^]*)$/.exec(text) ?? [];
    const name = /^(?:export )?(?:declare )?(?:abstract )?(?:class|interface|type|const|function) (\w+)/.exec(
      code,
    )?.[1];
    statements.push({ path, comment, name, code, shown: withoutPrivate(code) });
  }
  return statements;
}

function withoutPrivate(code) {
  return code
    .replaceAll(/^ +(?:\/\*\*(?:(?!\*\/)[^])*\*\/\s*)?(?:private |#private).*\n/gm, "")
    .replaceAll(/^export /gm, "")
    .replaceAll(/^declare /gm, "");
}
