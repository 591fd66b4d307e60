// `npm run release:dry`: what a release would publish, and whether it may. Packs as `npm publish` does, into a folder that it removes
// again. Ends with 1 and says what is wrong; RELEASING.md has the steps around it. Asks no registry. `--tagged`: of a version that is
// to be published now, which must have a date and a repository.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const text = (path) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(text("package.json"));
const problems = [];
const check = (isGood, problem) => isGood || problems.push(problem);

const [, version, state, lines = ""] = /^## (\S+) - (\S+)\n\n([^]*?)\n\n/m.exec(text("CHANGELOG.md")) ?? [];
check(version === manifest.version, `CHANGELOG.md begins with ${version}, package.json has ${manifest.version}.`);
check(
  /^(?:unreleased|\d{4}-\d\d-\d\d)$/.test(state ?? ""),
  `The state of ${version} is a date or "unreleased", not ${state}.`,
);
const wire = /SUBPROTOCOL = "([^"]+)"/.exec(text("src/protocol/frames.ts"))?.[1];
const schema = /SCHEMA_VERSION = (\d+)/.exec(text("src/room/store/schema.ts"))?.[1];
check(lines.includes(`\`${wire}\``), `The first lines of ${version} do not name the wire, ${wire}.`);
check(lines.includes(`schema ${schema}`), `The first lines of ${version} do not name the storage schema, ${schema}.`);
check(manifest.private !== true, "package.json is private.");
const isTagged = process.argv.includes("--tagged");
check(!isTagged || state !== "unreleased", `CHANGELOG.md says that ${version} is unreleased.`);
check(!isTagged || manifest.repository, "package.json has no `repository`: npm refuses --provenance.");

const place = mkdtempSync(join(tmpdir(), "edgerooms-release-"));
try {
  // Building prints lines of its own before the list.
  const said = execFileSync("npm", ["pack", "--json", "--pack-destination", place], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [packed] = JSON.parse(said.slice(said.search(/^\[/m)));
  const files = new Set(packed.files.map(({ path }) => path));
  const named = [
    ...Object.values(manifest.bin),
    ...JSON.stringify(manifest.exports)
      .matchAll(/"\.\/([^"]+\.[a-z.]+)"/g)
      .map(([, path]) => path),
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "docs/README.md",
  ].map((path) => path.replace(/^\.\//, ""));
  for (const path of new Set(named)) check(files.has(path), `${path} is named and not in the tarball.`);
  const strange = [...files].filter((path) =>
    /^(?:src|test|bench|scripts|node_modules|public\/(?!inspect\/))|\.tgz$|\.dev\.vars|\.test\.[cm]?[jt]sx?$/.test(
      path,
    ),
  );
  check(strange.length === 0, `The tarball has ${strange.join(", ")}.`);
  const lint = spawnSync(join(root, "node_modules/.bin/publint"), ["run", join(place, packed.filename), "--strict"], {
    encoding: "utf8",
  });
  check(lint.status === 0, `publint: ${lint.stdout}${lint.stderr}`);
  console.log(
    `${packed.id}: ${packed.entryCount} files, ${packed.size} bytes packed, ${packed.unpackedSize} unpacked; ` +
      `wire ${wire}, storage schema ${schema}; ${state}.`,
  );
} finally {
  rmSync(place, { recursive: true, force: true });
}

if (!isTagged && !manifest.repository)
  console.log("Before publishing: package.json needs `repository`, or npm refuses --provenance.");
for (const problem of problems) console.error(problem);
process.exit(problems.length > 0 ? 1 : 0);
