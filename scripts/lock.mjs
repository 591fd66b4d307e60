// `npm run lock`: adds to package-lock.json the optional packages of other platforms that npm left out. npm drops those
// that its registry does not serve to this machine, and then refuses its own lock file (`npm ci`: "Missing: ...").
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const file = join(import.meta.dirname, "../package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
const { packages } = lock;
const SYSTEMS = { windows: "win32" };
const PROCESSORS = { 64: "x64", armeabi: "arm" };
let added = 0;

for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
  if (path === "") continue;
  for (const [name, version] of Object.entries(optionalDependencies)) {
    if (packages[`node_modules/${name}`] || packages[`${path}/node_modules/${name}`]) continue;
    // Such as binding-linux-x64-gnu, workerd-darwin-arm64, win32-ia32.
    const words = name
      .split("/")
      .at(-1)
      .replace(/^(?:binding|workerd)-/, "")
      .split("-");
    const [system, processor = ""] = words;
    const libc = words.some((word) => word.startsWith("musl"))
      ? "musl"
      : words.some((word) => word.startsWith("gnu"))
        ? "glibc"
        : "";
    packages[`node_modules/${name}`] = {
      version,
      cpu: [PROCESSORS[processor] ?? processor],
      dev: true,
      ...(libc && system === "linux" && { libc: [libc] }),
      optional: true,
      os: [SYSTEMS[system] ?? system],
    };
    added++;
  }
}
const { "": root, ...rest } = packages;
lock.packages = { "": root, ...Object.fromEntries(Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1))) };
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} packages of other platforms added`);
