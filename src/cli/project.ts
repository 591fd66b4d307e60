/**
 * The project in a folder: whether the packages that a Worker needs beside edgerooms are there, and new enough. Reads files,
 * and runs nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const CONFIGS = ["wrangler.toml", "wrangler.json", "wrangler.jsonc"];
/** What a Worker needs, of the optional peers of edgerooms. */
const NEEDED = ["hono", "wrangler"] as const;

interface Manifest {
  readonly version?: string;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/**
 * What is wrong with the packages of a Worker's project, one sentence for each. Nothing where there is no configuration of
 * wrangler, and nothing of what is not installed but may run from elsewhere.
 *
 * @param folder of the project
 * @param own path of edgerooms' package.json, which names the versions
 */
export function complaintsOf(folder: string, own: string): string[] {
  if (!CONFIGS.some((name) => existsSync(join(folder, name)))) return [];
  const { peerDependencies = {} } = read(own) ?? {};
  return NEEDED.flatMap((name) => {
    const least = peerDependencies[name]?.replace(/^\D+/, "");
    const version = installed(folder, name);
    if (least === undefined || version === undefined || !isOlder(version, least)) return [];
    return `${name} ${version} is older than edgerooms needs: install ${least} or newer.`;
  });
}

/** The version of a package as a module in the folder would find it. */
function installed(folder: string, name: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    const found = read(join(at, "node_modules", name, "package.json"));
    if (found) return found.version;
    if (at === dirname(at)) return undefined;
  }
}

function read(path: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Manifest;
  } catch {
    return undefined;
  }
}

/** Whether a version is below another. What comes after a dash does not count. */
function isOlder(version: string, least: string): boolean {
  const [a, b] = [version, least].map((text) => (text.split("-")[0] ?? "").split(".").map(Number));
  const at = [0, 1, 2].find((part) => a?.[part] !== b?.[part]);
  return at !== undefined && (a?.[at] ?? 0) < (b?.[at] ?? 0);
}
