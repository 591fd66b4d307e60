/** The guards of the package: what an install brings, what its declarations name, and on what its tools run. */
import type { Guard } from "./guard.ts";

export const packageGuards: readonly Guard[] = [
  {
    name: "declarations name no bundled package",
    file: "scripts/build.mjs",
    text: 'if (path.endsWith(".d.ts") && !reached.has(join(dist, path))) rmSync(join(dist, path));',
    without: "",
    tests: ["package/contents.test.ts"],
  },
  {
    name: "a front end installs no server",
    file: "scripts/build.mjs",
    text: 'const external = ["cloudflare:*", "hono", "hono/*"];',
    without: 'const external = ["cloudflare:*", "hono", "hono/*", "jose"];',
    tests: ["package/contents.test.ts"],
  },
  {
    name: "the client keeps to ES2022",
    file: "src/client/session/presence.ts",
    text: "[...this.#members.values()].sort(",
    without: "[...this.#members.values()].toSorted(",
    tests: ["package/consumers.test.ts"],
  },
  {
    name: "tools run on their own Node.js",
    file: "scripts/node.mjs",
    text: "  process.exit(1);",
    without: "",
    tests: ["unit/lock.test.ts"],
  },
  {
    name: "a wrangler that is too old",
    file: "src/cli/project.ts",
    text: " || !isOlder(version, least)",
    without: "",
    tests: ["unit/project.test.ts"],
  },
];
