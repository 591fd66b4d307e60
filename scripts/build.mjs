// `npm run build`: dist/ with four entries and the command. The server is one file with jose and cockatiel in it, so that
// edgerooms has no dependencies. The client is one file without imports. The hooks are one file that imports react and
// edgerooms/client, so that a program never holds two clients. Client and hooks exist as CommonJS too, in dist/cjs.
// The command is one file for Node 20.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

rmSync(dist, { recursive: true, force: true });
// Of everything only the types are tsc's, and only those that an entry reaches: others name packages that are bundled.
execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });
const reached = new Set();
for (const entry of ["server", "client/client", "client/members", "react/react"]) reach(join(dist, `${entry}.d.ts`));
for (const path of readdirSync(dist, { recursive: true })) {
  if (path.endsWith(".d.ts") && !reached.has(join(dist, path))) rmSync(join(dist, path));
}

const options = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  // cockatiel has no `exports`.
  mainFields: ["module", "main"],
  metafile: true,
};
/** What stays an import in the server: the runtime, and hono, whose objects users and edgerooms hand to each other. */
const external = ["cloudflare:*", "hono", "hono/*"];
const oneClient = {
  name: "one client",
  setup(bundler) {
    bundler.onResolve({ filter: /\/client\/client\.ts$/ }, ({ kind }) =>
      kind === "entry-point" ? undefined : { path: "edgerooms/client", external: true },
    );
  },
};
const command = join(dist, "cli/main.js");
const builds = [
  { entryPoints: ["src/server.ts"], outfile: "dist/server.js", external },
  {
    entryPoints: ["src/cli/main.ts"],
    outfile: command,
    platform: "node",
    target: "node20",
    banner: { js: "#!/usr/bin/env node" },
  },
  ...["esm", "cjs"].flatMap((format) => {
    const folder = format === "esm" ? "dist" : "dist/cjs";
    return [
      { format, entryPoints: ["src/client/client.ts"], outfile: `${folder}/client/client.js` },
      { format, entryPoints: ["src/client/members.ts"], outfile: `${folder}/client/members.js` },
      {
        format,
        entryPoints: ["src/react/react.ts"],
        outfile: `${folder}/react/react.js`,
        external: ["react"],
        plugins: [oneClient],
      },
    ];
  }),
];
const inputs = new Set();
for (const one of builds) {
  const { metafile } = await build({ ...options, ...one });
  for (const input of Object.keys(metafile.inputs)) inputs.add(input);
}
// npm does the same on installing; who unpacks by hand has no npm.
chmodSync(command, 0o755);

// TypeScript takes a declaration file for CommonJS or not by the package.json above it, as Node does with the code.
mkdirSync(join(dist, "cjs"), { recursive: true });
writeFileSync(join(dist, "cjs/package.json"), `${JSON.stringify({ type: "commonjs" })}\n`);
for (const folder of ["client", "protocol", "react"]) {
  cpSync(join(dist, folder), join(dist, "cjs", folder), {
    recursive: true,
    filter: (path) => !path.endsWith(".js"),
  });
}

writeFileSync(join(dist, "THIRD-PARTY-LICENSES.txt"), [...packagesOf(inputs)].map(licenceOf).join("\n\n"));

/** Rewrites the imports of a declaration file as compilers expect them, and goes on with the files that it imports. */
function reach(path) {
  if (reached.has(path)) return;
  reached.add(path);
  const text = readFileSync(path, "utf8").replaceAll(/(\bfrom |\bimport\()"(\.[^"]+)\.ts"/g, (_, before, target) => {
    reach(join(dirname(path), `${target}.d.ts`));
    return `${before}"${target}.js"`;
  });
  writeFileSync(path, text);
}

/** The folders of the packages that were bundled. */
function packagesOf(paths) {
  return new Set([...paths].flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []));
}

function licenceOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
  const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file || !existsSync(join(root, folder, file))) throw new Error(`${name} has no licence file`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(root, folder, file), "utf8").trim()}\n`;
}
