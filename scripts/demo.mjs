// Builds what the page at / imports: the client as public/edgerooms.js, which git does not keep. wrangler runs this
// before `dev` and `deploy` ([build] in wrangler.toml). Writes only what changed: wrangler dev watches that folder.
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const target = join(root, "public/edgerooms.js");
const { outputFiles } = await build({
  entryPoints: [join(root, "src/client/client.ts")],
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  write: false,
});
const [{ text }] = outputFiles;
if (text !== current()) {
  // Renamed into place: a second build or a page that loads meanwhile never sees half of it.
  const half = `${target}.${process.pid}.tmp`;
  writeFileSync(half, text);
  renameSync(half, target);
}

function current() {
  try {
    return readFileSync(target, "utf8");
  } catch {
    return undefined;
  }
}
