// `npm run size`: what edgerooms/client adds to a page that connects, minified and gzipped. Fails above the limit. Stores
// that a program does not ask for, such as tabStore, are not in it.
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

// It was 6,000. What the rest buys: a watchdog that asks before it gives a line up, so that a late heartbeat costs no
// connection and a dead line under a publish is found in 15 s (about 70 bytes); halves with seams between them: a table
// of frame handlers and a transport (about 550); publishes that keep their order whatever is refused, and numbered attempts
// to connect (about 140); what docs/design.md lists (about 1,200); pace by what has arrived, presence and signals that wait,
// calls in order, timeouts, and data that JSON cannot carry refused (about 1,200); what else is refused at the call, cookies,
// addresses without URL, rooms of older versions (about 350).
const LIMIT = 9_700;

const { outputFiles } = await build({
  stdin: {
    contents: 'export { connect, RoomError } from "./src/client/client.ts"',
    resolveDir: join(import.meta.dirname, ".."),
  },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  write: false,
});
const [{ contents }] = outputFiles;
const zipped = gzipSync(contents, { level: 9 }).length;
console.log(`edgerooms/client, connect: ${contents.length} bytes minified, ${zipped} gzipped, at most ${LIMIT}`);
if (zipped > LIMIT) process.exit(1);
