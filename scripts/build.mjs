// `npm run build`: dist/ with three entries and the command. The server as tsc writes it; the client as one file without
// imports; the hooks as one file that imports react and edgerooms/client, so that a program never holds two clients; the
// command as one file for Node 20 that imports jose.
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, stdio: "inherit" });

// Of client/ and react/ only the types are tsc's.
for (const folder of ["client", "react"]) {
  for (const file of readdirSync(join(dist, folder))) {
    if (file.endsWith(".js")) rmSync(join(dist, folder, file));
  }
}

const options = { absWorkingDir: root, bundle: true, format: "esm", target: "es2022", platform: "neutral" };
await build({ ...options, entryPoints: ["src/client/client.ts"], outfile: "dist/client/client.js" });
await build({
  ...options,
  entryPoints: ["src/react/react.ts"],
  outfile: "dist/react/react.js",
  external: ["react"],
  plugins: [
    {
      name: "one client",
      setup(bundler) {
        bundler.onResolve({ filter: /\/client\/client\.ts$/ }, ({ kind }) =>
          kind === "entry-point" ? undefined : { path: "edgerooms/client", external: true },
        );
      },
    },
  ],
});

const command = join(dist, "cli/main.js");
await build({
  ...options,
  entryPoints: ["src/cli/main.ts"],
  outfile: command,
  platform: "node",
  target: "node20",
  packages: "external",
  banner: { js: "#!/usr/bin/env node" },
});
// npm does the same on installing; who unpacks by hand has no npm.
chmodSync(command, 0o755);
