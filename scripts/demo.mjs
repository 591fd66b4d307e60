// Builds what the page at / needs and git does not keep: the client as public/edgerooms.js, and the documents as text below
// public/docs/. wrangler runs this before `dev` and `deploy` ([build] in wrangler.toml). Writes only what changed: wrangler
// dev watches that folder.
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const { outputFiles } = await build({
  entryPoints: [join(root, "src/client/client.ts")],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  write: false,
});
write("edgerooms.js", outputFiles[0].text);

const documents = ["README.md", ...markdownIn("docs")].map((path) => {
  const text = readFileSync(join(root, path), "utf8");
  return { to: path.replace(/^docs\//, ""), text, title: /^# (.+)$/m.exec(text)?.[1] ?? path };
});
for (const { to, text } of documents) write(`docs/${to}`, text);
write("docs/index.html", index());
const wanted = new Set(["index.html", ...documents.map(({ to }) => to)]);
for (const path of filesIn(join(root, "public/docs"))) {
  if (!wanted.has(path) && !path.endsWith(".tmp")) rmSync(join(root, "public/docs", path));
}

function markdownIn(folder) {
  return filesIn(join(root, folder))
    .filter((path) => path.endsWith(".md"))
    .map((path) => `${folder}/${path}`)
    .toSorted();
}

function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

function index() {
  const items = documents.map(({ to, title }) => `<li><a href="${to}">${escaped(title)}</a></li>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Documents – edgerooms</title>
<link rel="stylesheet" href="../inspect/page.css">
<main>
<h1>Documents</h1>
<p class="soft">As text, as they stand in the repository. <a href="../">Back to the demo</a></p>
<ul>
${items.join("\n")}
</ul>
</main>
</html>
`;
}

function escaped(text) {
  return text.replaceAll("`", "").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** Renamed into place: a second build or a page that loads meanwhile never sees half of it. */
function write(path, text) {
  const target = join(root, "public", path);
  if (text === current(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  const half = `${target}.${process.pid}.tmp`;
  writeFileSync(half, text);
  renameSync(half, target);
}

function current(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
