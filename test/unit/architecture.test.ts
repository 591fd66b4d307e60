/** The rules of the house (docs/design.md), read off the imports and the text of every source file. No exceptions. */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

interface Source {
  /** Below src/, such as `room/core/step.ts`. */
  readonly path: string;
  readonly text: string;
  /** Text without comments and strings, so that words in them count for nothing. */
  readonly code: string;
  /** What it imports, types included: paths below src/, or names of packages. */
  readonly imports: readonly string[];
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("/."));
}

function read(file: string): Source {
  const text = readFileSync(join(root, file), "utf8");
  const path = relative("src", file);
  const from = [...text.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";/gms)].map(([, name = ""]) => name);
  const inline = [...text.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, name = ""]) => name);
  const imports = [...from, ...inline].map((name) =>
    name.startsWith(".") ? relative(".", join(path, "..", name)) : name,
  );
  const code = text
    .replaceAll(/\/\*.*?\*\//gs, "")
    .replaceAll(/\/\/.*$/gm, "")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
  return { path, text, code, imports };
}

const sources: Source[] = filesBelow("src")
  .filter((path) => path.endsWith(".ts"))
  .map(read);

/** Not what a program has written: Grafana exports its dashboards. */
const isWritten = (path: string) => !/\.(?:json|sql)$/.test(path);

/** The files that may import everything: they only put together. */
const COMPOSITION = ["index.ts", "server.ts", "room.ts"];

/**
 * Every wing of the house, and what it may import: other wings, single files, packages. A file belongs to the first wing
 * that its path begins with.
 */
const WINGS: readonly { readonly wing: RegExp; readonly may: RegExp }[] = [
  { wing: /^protocol\//, may: /^protocol\// },
  // Doors: what users write, what the Worker hands in, what receivers get.
  {
    wing: /^room\/(?:definition|admission|outlet|operator)\.ts$/,
    may: /^(?:protocol\/|room\/(?:definition|admission|outlet)\.ts$|room\/telemetry\/counts\.ts$)/,
  },
  { wing: /^room\/rules\//, may: /^(?:protocol\/|room\/rules\/)/ },
  { wing: /^room\/telemetry\//, may: /^(?:protocol\/|room\/telemetry\/)/ },
  {
    wing: /^room\/store\//,
    may: /^(?:protocol\/|room\/(?:store|rules|telemetry)\/|room\/(?:definition|admission|outlet)\.ts$)/,
  },
  {
    wing: /^room\/core\//,
    may: /^(?:protocol\/|room\/(?:core|store|rules|telemetry)\/|room\/(?:definition|admission|outlet|operator)\.ts$)/,
  },
  { wing: /^room\/runtime\//, may: /^(?:protocol\/|room\/|cloudflare:workers$)/ },
  {
    wing: /^http\//,
    may: /^(?:hono(?:\/.*)?$|jose$|protocol\/|http\/|ops\/|room\.ts$|room\/(?:definition|admission|operator)\.ts$|room\/telemetry\/)/,
  },
  {
    wing: /^ops\//,
    may: /^(?:protocol\/|ops\/|cockatiel$|cloudflare:workers$|room\/(?:outlet|definition)\.ts$|room\/(?:telemetry|runtime)\/)/,
  },
  { wing: /^cli\//, may: /^(?:node:.*|jose|protocol\/.*|cli\/.*)$/ },
  // The halves of the client: of the other the session knows the states of a connection, which it tells the program.
  { wing: /^client\/connection\//, may: /^(?:protocol|client\/connection)\// },
  {
    wing: /^client\/session\//,
    may: /^(?:protocol\/|client\/session\/|client\/connection\/state\.ts$|client\/(?:address|emitter|error|events|storage)\.ts$)/,
  },
  { wing: /^client\//, may: /^(?:protocol|client)\// },
  { wing: /^react\//, may: /^(?:react$|(?:react|client)\/)/ },
];

const inFolder = (...folders: string[]) => sources.filter(({ path }) => folders.some((f) => path.startsWith(`${f}/`)));

describe("the house", () => {
  it("has the sources it thinks it has", () => {
    expect(sources.length).toBeGreaterThan(100);
    const step = sources.find(({ path }) => path === "room/core/step.ts");
    expect(step?.imports).toContain("room/core/turn.ts");
  });

  it.each(sources.filter(({ path }) => !COMPOSITION.includes(path)))(
    "$path is in a wing, and imports only what that wing may",
    ({ path, imports }) => {
      const wing = WINGS.find(({ wing: begins }) => begins.test(path));
      expect(wing, "a wing").toBeDefined();
      expect(imports.filter((name) => !wing?.may.test(name))).toEqual([]);
    },
  );

  it("keeps the Worker out of the room's own object, which the Worker imports by its type", () => {
    const room = sources.find(({ path }) => path === "room.ts");
    expect(room?.imports).toContain("room/runtime/object.ts");
    expect(room?.imports.filter((name) => name.startsWith("http/"))).toEqual([]);
  });

  it("has no circle of imports, types included", () => {
    expect(circleIn(sources)).toEqual([]);
    const [a, b] = ["a.ts", "b.ts"].map((path) => ({ path, text: "", code: "", imports: [] as string[] }));
    if (a && b)
      expect(
        circleIn([
          { ...a, imports: ["b.ts"] },
          { ...b, imports: ["a.ts"] },
        ]),
      ).toEqual(["a.ts", "b.ts"]);
  });

  it.each(inFolder("room/core", "room/store", "room/rules", "room/telemetry"))(
    "$path touches no clock, randomness, timer, socket or alarm",
    ({ code }) => {
      expect(code).not.toMatch(/\bDate\.now\b|\bnew Date\b|\bperformance\b|\bMath\.random\b|\bcrypto\b/);
      expect(code).not.toMatch(/\bset(?:Timeout|Interval|Alarm)\b|\bgetAlarm\b|\bdeleteAlarm\b/);
      expect(code).not.toMatch(/\bWebSocket\w*\b|\bfetch\(/);
    },
  );

  it.each(inFolder("room/runtime").filter(({ path }) => path !== "room/runtime/object.ts"))(
    "$path knows the platform by its interface only",
    ({ code, imports }) => {
      expect(imports).not.toContain("cloudflare:workers");
      expect(code).not.toMatch(/\bDate\.now\b|\bperformance\b|\bMath\.random\b|\bcrypto\b|\bset(?:Timeout|Interval)\b/);
      expect(code).not.toMatch(/\bnew WebSocket\w*\b|\bacceptWebSocket\b|\bgetWebSockets\b|\bDurableObject\w*\b/);
    },
  );

  it.each(inFolder("http"))("$path takes only types of the room itself", ({ text }) => {
    // The Worker must not pull the room in by accident.
    expect(text).not.toMatch(/^import (?!type)[^;]*(?:room\/(?:operator|definition)|\.\/room)\.ts";/m);
  });

  it("keeps SQL in schema.ts and in the store file that owns the table", () => {
    const owners: Readonly<Record<string, readonly string[]>> = {
      edgerooms_meta: ["room/store/meta.ts", "room/store/schema.ts"],
      edgerooms_sessions: ["room/store/schema.ts", "room/store/sessions.ts"],
      edgerooms_log: ["room/store/log.ts", "room/store/replay.ts", "room/store/schema.ts"],
      edgerooms_ref_chunks: ["room/store/ref-chunks.ts", "room/store/schema.ts"],
      edgerooms_jobs: ["room/store/schema.ts", "room/store/timers.ts"],
      edgerooms_keys: ["room/store/idempotency.ts", "room/store/schema.ts"],
      edgerooms_outbox: ["room/store/outbox.ts", "room/store/schema.ts"],
      edgerooms_dead: ["room/store/outbox.ts", "room/store/schema.ts"],
      edgerooms_revoked: ["room/store/revocations.ts", "room/store/schema.ts"],
      edgerooms_directory: ["ops/directory.ts"],
      edgerooms_past: ["ops/directory.ts"],
      edgerooms_notes: ["ops/directory.ts"],
    };
    for (const [table, files] of Object.entries(owners)) {
      const users = sources.filter(({ text }) => new RegExp(`(?:TABLE|INTO|FROM|UPDATE) ${table}\\b`).test(text));
      expect(users.map(({ path }) => path).toSorted()).toEqual(files);
    }
    const executing = sources.filter(({ code }) => /\bsql\s*\.exec[<(]/.test(code)).map(({ path }) => path);
    expect(executing.filter((path) => !path.startsWith("room/store/"))).toEqual([
      "ops/directory.ts",
      // What SQLite says of itself: how much it has changed, and which tables there are.
      "room/runtime/effects.ts",
      "room/runtime/recording.ts",
      "room/runtime/ticker.ts",
    ]);
  });

  it("has no file that is named after nothing, and no barrel but the published entries", () => {
    const nameless = sources.filter(({ path }) => /(?:^|\/)(?:utils?|helpers?|types|common|misc)\.ts$/.test(path));
    expect(nameless.map(({ path }) => path)).toEqual([]);
    const barrels = sources.filter(({ code }) => !/\b(?:function|class|const|interface|type \w+ =)/.test(code));
    expect(barrels.map(({ path }) => path)).toEqual(["server.ts"]);
  });

  it("has no file that nothing imports", () => {
    const entries = ["index.ts", "server.ts", "client/client.ts", "react/react.ts", "cli/main.ts"];
    const imported = new Set(sources.flatMap(({ imports }) => imports));
    expect(sources.map(({ path }) => path).filter((path) => !imported.has(path) && !entries.includes(path))).toEqual(
      [],
    );
  });

  it("has files of at most 400 lines, half of them of at most 120", () => {
    const lengths = sources.map(({ text }) => text.split("\n").length - 1).toSorted((a, b) => a - b);
    expect(lengths[lengths.length >> 1]).toBeLessThanOrEqual(120);
    const written = ["src", "test", "ops", "public", "scripts"].flatMap(filesBelow).filter(isWritten);
    const long = written.filter((path) => readFileSync(join(root, path), "utf8").split("\n").length - 1 > 400);
    expect(long).toEqual([]);
  });

  it("has the linter hold functions to 60 lines and 4 parameters", () => {
    const { overrides } = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as { overrides: unknown[] };
    const rules = {
      "max-params": ["error", { max: 4 }],
      "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }],
    };
    expect(overrides).toContainEqual({ files: ["src/**/*.ts"], rules });
  });

  it.each(sources)("$path begins by saying what it owns", ({ text }) => {
    expect(text).toMatch(/^(?:#![^\n]*\n)?\/\*\*/);
  });

  it.each(sources)("$path documents every function, class and constant that it exports", ({ path, text }) => {
    const lines = text.split("\n");
    const bare = lines.filter((line, i) => {
      if (!/^export (?:abstract |async )?(?:function|class|const)\b/.test(line)) return false;
      // Overloads share the comment of the first.
      const overload = lines.slice(0, i).some((other) => other.split(/[(<]/)[0] === line.split(/[(<]/)[0]);
      return !overload && !(lines[i - 1] ?? "").endsWith("*/");
    });
    expect(bare, path).toEqual([]);
  });
});

/** The files of one circle of imports, or none. */
function circleIn(files: readonly Source[]): string[] {
  const byPath = new Map(files.map((source) => [source.path, source]));
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): string[] => {
    if (trail.includes(path)) return trail.slice(trail.indexOf(path));
    if (done.has(path)) return [];
    for (const next of byPath.get(path)?.imports ?? []) {
      const circle = byPath.has(next) ? visit(next, [...trail, path]) : [];
      if (circle.length > 0) return circle;
    }
    done.add(path);
    return [];
  };
  for (const { path } of files) {
    const circle = visit(path, []);
    if (circle.length > 0) return circle;
  }
  return [];
}
