// `npm start`: says so when a package is too old, makes .dev.vars when there is none, then runs wrangler dev. Arguments
// are passed on.
import "./node.mjs";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { complaintsOf } from "../src/cli/project.ts";

const root = join(import.meta.dirname, "..");
const complaints = complaintsOf(root, join(root, "package.json"));
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exit(1);

const vars = join(root, ".dev.vars");
if (!existsSync(vars)) {
  const secret = randomBytes(32).toString("base64url");
  try {
    // Of two that start at once the first decides.
    writeFileSync(vars, `AUTH_SECRET=${secret}\nENVIRONMENT=development\n`, { mode: 0o600, flag: "wx" });
    console.log("Wrote .dev.vars with a new AUTH_SECRET.");
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
}

const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin/wrangler.js");
const port = process.argv.includes("--port") ? [] : ["--port", "8787"];
const child = spawn(process.execPath, [wrangler, "dev", "--ip", "127.0.0.1", ...port, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  // Local requests have no place on earth; looking one up would only delay and complain without a network.
  env: { CLOUDFLARE_CF_FETCH_ENABLED: "false", ...process.env },
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
