// `npm run size`: what edgerooms/client adds to a page, minified and gzipped. Fails above the limit.
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

// 6,000 without the watchdog that asks before it gives a line up and finds the dead line under a publish (docs/client.md,
// "How it notices"), and without the seams of docs/design.md (a table of frame handlers, a transport interface).
const LIMIT = 6_700;

const { outputFiles } = await build({
  absWorkingDir: join(import.meta.dirname, ".."),
  entryPoints: ["src/client/client.ts"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  write: false,
});
const [{ contents }] = outputFiles;
const zipped = gzipSync(contents, { level: 9 }).length;
console.log(`edgerooms/client: ${contents.length} bytes minified, ${zipped} gzipped, at most ${LIMIT}`);
if (zipped > LIMIT) process.exit(1);
