/**
 * `npm run platforms`: packs the package, installs it with the platforms from the registry, and plays one scenario on each
 * of them against a real `npm start`. Prints a table; ends with 1 when a platform did not do what all must.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { chromium } from "playwright-core";
import { Server } from "../e2e/server.ts";
import { patience } from "../support/patience.ts";
import { ANY_PORTS } from "../support/port.ts";

const ROOT = join(import.meta.dirname, "../..");
const EXPECTED = { seen: ["before", "missed", "after"], resumed: 1, reset: 1 };
/** What a platform takes alone: Jest compiles, wrangler starts a runtime. */
const PLATFORM_MS = 15_000;
const ARM = process.arch === "arm64";
/** What is installed: alias, package, version. Without install scripts, so the packages that hold the programs themselves. */
const TOOLS = {
  "node-20": `npm:node-linux-${process.arch}@20.20.2`,
  "node-22": `npm:node-linux-${process.arch}@22.23.3`,
  deno: `npm:@deno/linux-${ARM ? "arm64" : "x64"}-glibc@2.9.6`,
  bun: `npm:@oven/bun-linux-${ARM ? "aarch64" : "x64"}@1.4.5`,
  jest: "29.7.0",
  ws: (JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { devDependencies: { ws: string } })
    .devDependencies.ws,
} as const;

interface Platform {
  readonly name: string;
  readonly what: string;
  /** Plays the scenario, and returns what came of it. */
  readonly play: (settings: Settings) => Promise<unknown>;
}

interface Settings {
  readonly url: string;
  readonly room: string;
  readonly tokens: readonly string[];
}

const folder = mkdtempSync(join(tmpdir(), "edgerooms-platforms-"));
const server = new Server();
process.on("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));

const inModules = (path: string) => join(folder, "node_modules", path);
const onMember = (program: string, args: readonly string[], as: string) => (settings: Settings) =>
  said(program, [...args, "member.mjs"], { ...settings, as });

const platforms: readonly Platform[] = [
  { name: "Node.js 20", what: "with ws", play: onMember(inModules("node-20/bin/node"), [], "ws") },
  { name: "Node.js 22", what: "its own WebSocket", play: onMember(inModules("node-22/bin/node"), [], "plain") },
  {
    name: `Node.js ${process.versions.node}`,
    what: "its own WebSocket",
    play: onMember(process.execPath, [], "plain"),
  },
  { name: "React Native", what: "its globals, on Node.js", play: onMember(process.execPath, [], "react-native") },
  { name: "Deno", what: "2.9.6", play: onMember(inModules("deno/deno"), ["run", "--allow-all"], "plain") },
  { name: "Bun", what: "1.4.5", play: onMember(inModules("bun/bin/bun"), ["run"], "plain") },
  { name: "Jest 29", what: "CommonJS, with ws", play: inJest },
  { name: "Worker", what: "as a client, wrangler dev", play: inWorker },
  { name: "Chromium", what: "/usr/bin/chromium", play: inChromium },
];

install();
await server.start();
let failures = 0;
console.log("| Platform | What | One resumed message |\n| --- | --- | --- |");
for (const { name, what, play } of platforms) {
  const room = name.replaceAll(/\W+/g, "-");
  const tokens = [await server.token("ann"), await server.token("ben")];
  const result = await play({ url: server.url, room, tokens }).catch((error: unknown) => String(error));
  const isRight = isDeepStrictEqual(result, EXPECTED);
  if (!isRight) failures++;
  console.log(`| ${name} | ${what} | ${isRight ? "yes" : `NO: ${JSON.stringify(result)}`} |`);
}
await server.stop();
console.log(`${platforms.length - failures} passed, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);

function install(): void {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", folder], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  const dependencies = { edgerooms: `file:${tarball}`, ...TOOLS };
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies }));
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"];
  execFileSync("npm", ["install", ...quiet], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  for (const name of ["scenario.js", "member.mjs", "worker.js"]) {
    copyFileSync(join(import.meta.dirname, name), join(folder, name.replace(/^(scenario|worker)\.js$/, "$1.js")));
  }
  copyFileSync(join(import.meta.dirname, "jest.cjs"), join(folder, "member.test.cjs"));
  const scenario = readFileSync(join(import.meta.dirname, "scenario.js"), "utf8");
  writeFileSync(
    join(folder, "scenario.cjs"),
    scenario.replace("export async function", "exports.scenario = async function"),
  );
}

/** Runs a program in the folder. Returns what its last line says. */
async function said(program: string, args: readonly string[], settings: object): Promise<unknown> {
  const env = { ...process.env, SCENARIO: JSON.stringify(settings), NO_COLOR: "1" };
  const child = spawn(program, args, {
    cwd: folder,
    env,
    timeout: patience(PLATFORM_MS),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  if (code !== 0) throw new Error(`ended with ${code ?? signal}: ${err.trim().slice(-500)}`);
  return JSON.parse(out.trim().split("\n").at(-1) ?? "");
}

async function inJest(settings: Settings): Promise<unknown> {
  const jest = [inModules("jest/bin/jest.js"), "--rootDir", ".", "--testMatch", "**/member.test.cjs", "--json"];
  const limit = `--testTimeout=${patience(PLATFORM_MS)}`;
  const result = (await said(process.execPath, [...jest, limit, "--forceExit"], settings)) as {
    numPassedTests: number;
  };
  // The test itself compares what came of the scenario.
  return result.numPassedTests === 1 ? EXPECTED : result;
}

async function inWorker(settings: Settings): Promise<unknown> {
  writeFileSync(
    join(folder, "wrangler.toml"),
    'name = "member"\nmain = "worker.js"\ncompatibility_date = "2026-08-25"\n',
  );
  const wrangler = join(ROOT, "node_modules/.bin/wrangler");
  const child = spawn(wrangler, ["dev", "--ip", "127.0.0.1", ...ANY_PORTS], {
    cwd: folder,
    detached: true,
    env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false" },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error("wrangler did not start");
  try {
    const address = await new Promise<string>((resolve, reject) => {
      let output = "";
      const listen = (chunk: Buffer) => {
        output += String(chunk);
        const ready = /Ready on (http:\/\/\S+)/.exec(output)?.[1];
        if (ready) resolve(ready);
      };
      child.stdout.on("data", listen);
      child.stderr.on("data", listen);
      child.on("exit", (code) => reject(new Error(`wrangler ended with ${code}: ${output.slice(-500)}`)));
    });
    const signal = AbortSignal.timeout(patience(PLATFORM_MS));
    const response = await fetch(address, { method: "POST", body: JSON.stringify(settings), signal });
    if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).slice(0, 500)}`);
    return await response.json();
  } finally {
    process.kill(-pid, "SIGKILL");
  }
}

async function inChromium(settings: Settings): Promise<unknown> {
  const browser = await chromium.launch({
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(patience(PLATFORM_MS));
    const serve = (name: string, path: string) =>
      page.route(`**/${name}`, (route) => route.fulfill({ path, contentType: "text/javascript" }));
    await serve("client.js", inModules("edgerooms/dist/client/client.js"));
    await serve("scenario.js", join(folder, "scenario.js"));
    await page.goto(`${settings.url}/healthz`);
    const text = `Promise.all([import("/client.js"), import("/scenario.js")]).then(([{ connect }, { scenario }]) =>
      scenario(connect, ${JSON.stringify(settings)}))`;
    return await page.evaluate(text);
  } finally {
    await browser.close();
  }
}
