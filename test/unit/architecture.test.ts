/** The rules of the house (docs/design.md), read off the imports and the text of every source file. No exceptions. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { filesBelow, read, root, sourceOf, type Source } from "../support/sources.ts";

const sources: Source[] = filesBelow("src")
  .filter((path) => path.endsWith(".ts"))
  .map(read);

/** Not what a program has written: Grafana exports its dashboards. */
const isWritten = (path: string) => !/\.(?:json|sql)$|^public\/docs\//.test(path);

/** The files that may import everything: they only put together. */
const COMPOSITION = ["index.ts", "server.ts", "room.ts", "relay.ts"];

/** The files of the room's runtime that touch Cloudflare's. */
const PLATFORM = ["object", "relay-object", "cloudflare"].map((name) => `room/runtime/${name}.ts`);

const DOORS = ["room/definition.ts", "room/admission.ts", "room/outlet.ts"];

/**
 * Every wing of the house, and what it may import: wings (`room/core/`), single files, packages, the modules of Node.js
 * (`node:`). A file belongs to the first wing that its path begins with.
 */
const WINGS: readonly { readonly wing: RegExp; readonly may: readonly string[] }[] = [
  { wing: /^protocol\//, may: ["protocol/"] },
  // Doors: what users write, what the Worker hands in, what receivers get.
  {
    wing: /^room\/(?:definition|admission|outlet|operator|relaying)\.ts$/,
    may: ["protocol/", ...DOORS, "room/telemetry/counts.ts"],
  },
  { wing: /^room\/rules\//, may: ["room/rules/"] },
  { wing: /^room\/telemetry\//, may: ["protocol/", "room/telemetry/"] },
  {
    wing: /^room\/store\//,
    may: ["protocol/", "room/store/", "room/rules/", "room/telemetry/", ...DOORS, "room/relaying.ts"],
  },
  {
    wing: /^room\/core\//,
    may: [
      "protocol/",
      "room/core/",
      "room/store/",
      "room/rules/",
      "room/telemetry/",
      ...DOORS,
      "room/relaying.ts",
      "room/operator.ts",
    ],
  },
  { wing: /^room\/runtime\//, may: ["protocol/", "room/", "cloudflare:workers"] },
  {
    wing: /^http\//,
    may: [
      "hono",
      "hono/",
      "jose",
      "protocol/",
      "http/",
      "ops/",
      "room/telemetry/",
      "room.ts",
      "relay.ts",
      "room/admission.ts",
      "room/operator.ts",
    ],
  },
  {
    wing: /^ops\//,
    // Of the runtime only the shape of a span's attributes.
    may: [
      "protocol/",
      "ops/",
      "cockatiel",
      "cloudflare:workers",
      "room/telemetry/",
      "room/outlet.ts",
      "room/runtime/ticker.ts",
    ],
  },
  { wing: /^cli\//, may: ["node:", "jose", "protocol/", "cli/"] },
  // The halves of the client: of the other the session knows the states of a connection, which it tells the program.
  { wing: /^client\/connection\//, may: ["protocol/", "client/connection/", "client/error.ts", "client/timer.ts"] },
  {
    wing: /^client\/session\//,
    may: [
      "protocol/",
      "client/session/",
      "client/connection/state.ts",
      ...["address", "emitter", "error", "events", "storage", "timer"].map((name) => `client/${name}.ts`),
    ],
  },
  { wing: /^client\//, may: ["protocol/", "client/"] },
  { wing: /^react\//, may: ["react", "react/", "client/"] },
];

const isOf = (allowed: string, name: string) => (/[/:]$/.test(allowed) ? name.startsWith(allowed) : name === allowed);
const wingOf = (path: string) => WINGS.find(({ wing }) => wing.test(path));

/** Every way to a clock, to chance, to a timer, and to objects from which those can be had under another name. */
const CLOCKS = /\b(?:Date|Temporal|DateTimeFormat|performance|random\w*|crypto|getRandomValues)\b/;
const TIMERS =
  /\b(?:set(?:Timeout|Interval|Immediate)|queueMicrotask|(?<!#)scheduler|AbortSignal|Atomics|MessageChannel|requestAnimationFrame)\b/;
const GLOBALS = /\b(?:globalThis|self|process|eval|Function|Reflect|require)\b|\bimport\.meta\b/;
/** And to the network and the alarm. */
const SOCKETS = /\b(?:WebSocket\w*|EventSource|BroadcastChannel|fetch|caches|connect\(\{|(?:set|get|delete)Alarm)\b/;

/** Dynamic imports whose module cannot be read off. */
const HIDDEN_IMPORT = /\bimport\s*\((?!\s*"")/;
const WAIVER = /\b(?:oxlint|eslint)-disable|@ts-(?:ignore|nocheck|expect-error)/;

/** The tables that a text creates, by the names that they have in the end. */
function tablesOf({ uncommented: text }: Source): string[] {
  const created = [...text.matchAll(/\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)/gi)].map(
    ([, name = ""]) => name,
  );
  const renamed = new Map(
    [...text.matchAll(/\bALTER TABLE (\w+) RENAME TO (\w+)/gi)].map(([, a = "", b = ""]) => [a, b]),
  );
  return [...new Set(created.map((name) => renamed.get(name) ?? name))].toSorted();
}

const inFolder = (...folders: string[]) => sources.filter(({ path }) => folders.some((f) => path.startsWith(`${f}/`)));

describe("the house", () => {
  it("has the sources it thinks it has", () => {
    expect(sources.length).toBeGreaterThan(100);
    const step = sources.find(({ path }) => path === "room/core/step.ts");
    expect(step?.imports).toContain("room/core/turn.ts");
  });

  it.each([
    ['import { a } from "../b.ts";', true],
    ['import {\n  a,\n  type C,\n} from "../b.ts";', true],
    ['import "../b.ts";', true],
    ['import a, * as c from "../b.ts";', true],
    ['export * from "../b.ts";', true],
    ['const { a } = await import("../b.ts");', true],
    ['const a = require("../b.ts");', true],
    ['const url = "https://x/*"; import "../b.ts";', true],
    ['import type { A } from "../b.ts";', false],
    ['export type { A } from "../b.ts";', false],
  ])("sees what %j imports", (text, isValue) => {
    const { imports, values } = sourceOf("http/api/a.ts", text);
    expect(imports).toEqual(["http/b.ts"]);
    expect(values).toEqual(isValue ? ["http/b.ts"] : []);
  });

  it("sees a type that is imported where it is used", () => {
    expect(sourceOf("http/a.ts", 'let a: import("./b.ts").A;').imports).toEqual(["http/b.ts"]);
    expect(sourceOf("http/a.ts", '// import "./b.ts"\n/* import "./c.ts" */').imports).toEqual([]);
  });

  it("is TypeScript, each file of it, and nothing in it lifts a rule of the linter or the compiler", () => {
    expect(filesBelow("src").filter((path) => !path.endsWith(".ts"))).toEqual([]);
    expect(sources.filter(({ text }) => WAIVER.test(text)).map(({ path }) => path)).toEqual([]);
    expect(sources.filter(({ code }) => HIDDEN_IMPORT.test(code)).map(({ path }) => path)).toEqual([]);
  });

  it.each(sources.filter(({ path }) => !COMPOSITION.includes(path)))(
    "$path is in a wing, and imports only what that wing may",
    ({ path, imports }) => {
      const wing = wingOf(path);
      expect(wing, "a wing").toBeDefined();
      expect(imports.filter((name) => !wing?.may.some((allowed) => isOf(allowed, name)))).toEqual([]);
    },
  );

  it("keeps the Worker out of the room's own object, which the Worker imports by its type", () => {
    const objects = { "room.ts": "room/runtime/object.ts", "relay.ts": "room/runtime/relay-object.ts" };
    for (const [path, bare] of Object.entries(objects)) {
      const object = sources.find((source) => source.path === path);
      expect(object?.imports).toContain(bare);
      expect(object?.imports.filter((name) => name.startsWith("http/"))).toEqual([]);
    }
  });

  it.each(WINGS)("allows $wing nothing that it does not use", ({ wing, may }) => {
    const inWing = sources.filter(({ path }) => wingOf(path)?.wing === wing);
    const used = inWing.flatMap(({ imports }) => imports);
    expect(may.filter((allowed) => !used.some((name) => isOf(allowed, name)))).toEqual([]);
  });

  it("has no circle of imports, types included", () => {
    expect(circleIn(sources)).toEqual([]);
    const circle = [sourceOf("a.ts", 'import "./b.ts";'), sourceOf("b.ts", 'import type { A } from "./a.ts";')];
    expect(circleIn(circle)).toEqual(["a.ts", "b.ts"]);
  });

  it.each(inFolder("room/core", "room/store", "room/rules", "room/telemetry"))(
    "$path touches no clock, randomness, timer, socket or alarm",
    ({ code }) => {
      for (const way of [CLOCKS, TIMERS, GLOBALS, SOCKETS]) expect(code.match(way)?.[0]).toBeUndefined();
    },
  );

  it.each([
    ["const { now } = Date;", CLOCKS],
    ["Date()", CLOCKS],
    ["`${new Date()}`", CLOCKS],
    ["const { random } = Math;", CLOCKS],
    ["crypto.randomUUID()", CLOCKS],
    ["new Intl.DateTimeFormat().format()", CLOCKS],
    ["setImmediate(run)", TIMERS],
    ["AbortSignal.timeout(ms)", TIMERS],
    ["await scheduler.wait(5)", TIMERS],
    ['globalThis["Da" + "te"]', GLOBALS],
    ["const get = fetch;", SOCKETS],
  ])("knows that %j is such a way", (text, way) => {
    expect(sourceOf("room/core/a.ts", text).code).toMatch(way);
  });

  it.each(inFolder("room/runtime").filter(({ path }) => !PLATFORM.includes(path)))(
    "$path knows the platform by its interface only",
    ({ code, imports }) => {
      expect(imports).not.toContain("cloudflare:workers");
      for (const way of [CLOCKS, TIMERS, GLOBALS]) expect(code.match(way)?.[0]).toBeUndefined();
      expect(code).not.toMatch(/\bnew WebSocket\w*\b|\bacceptWebSocket\b|\bgetWebSockets\b|\bDurableObject\w*\b/);
    },
  );

  it.each(inFolder("http"))("$path takes only types of the room itself", ({ values }) => {
    // The Worker must not pull the room in by accident.
    const own = ["room.ts", "relay.ts", "room/operator.ts", "room/definition.ts"];
    expect(values.filter((name) => own.includes(name))).toEqual([]);
  });

  it("keeps SQL in schema.ts and in the store file that owns the table", () => {
    const schema = "room/store/schema.ts";
    const owners: Readonly<Record<string, readonly string[]>> = {
      edgerooms_dead: ["room/store/outbox.ts", schema],
      edgerooms_directory: ["ops/directory.ts"],
      edgerooms_jobs: [schema, "room/store/timers.ts"],
      edgerooms_keys: ["room/store/idempotency.ts", schema],
      edgerooms_log: ["room/store/log-rows.ts", schema],
      edgerooms_meta: ["room/store/meta.ts", schema],
      edgerooms_notes: ["ops/records.ts"],
      edgerooms_outbox: ["room/store/outbox.ts", schema],
      edgerooms_past: ["ops/directory.ts"],
      edgerooms_ref_chunks: ["room/store/ref-chunks.ts", schema],
      // Migrated away since schema 4.
      edgerooms_refs: [schema],
      edgerooms_relays: ["room/store/remote.ts"],
      edgerooms_remote: ["room/store/remote.ts"],
      edgerooms_revoked: ["room/store/revocations.ts", schema],
      edgerooms_sessions: [schema, "room/store/sessions.ts"],
      edgerooms_undelivered: ["ops/directory.ts"],
    };
    // A table is one that any file creates; to name it at all is to use it.
    expect([...new Set(sources.flatMap(tablesOf))].toSorted()).toEqual(Object.keys(owners));
    for (const [table, files] of Object.entries(owners)) {
      // SQLite reads names in any case. In capitals it is the binding of the directory.
      const name = new RegExp(`\\b${table}\\b`, "gi");
      const users = sources.filter(({ uncommented }) =>
        uncommented.match(name)?.some((found) => found !== table.toUpperCase()),
      );
      expect(users.map(({ path }) => path).toSorted(), table).toEqual(files);
    }
    const built = sources.filter(
      ({ uncommented }) =>
        /\bexec\b/.test(uncommented) && /\b(?:FROM|INTO|UPDATE|TABLE|JOIN)\s+\$\{/i.test(uncommented),
    );
    expect(built.map(({ path }) => path)).toEqual(["room/runtime/recording.ts"]);
  });

  it("executes SQL in the files of the store, and where it asks SQLite about itself", () => {
    // Under whatever name the database goes; regular expressions are matched by `match`.
    const executing = sources.filter(({ uncommented }) => /\bexec\b/.test(uncommented)).map(({ path }) => path);
    expect(executing.filter((path) => !path.startsWith("room/store/")).toSorted()).toEqual([
      "ops/directory.ts",
      "ops/records.ts",
      // How much has changed, and which tables there are.
      "room/runtime/effects.ts",
      "room/runtime/recording.ts",
    ]);
  });

  it("has no file that is named after nothing, and no barrel but the published entries", () => {
    const nameless = sources.filter(({ path }) => /(?:^|\/)(?:utils?|helpers?|types|common|misc)\.ts$/.test(path));
    expect(nameless.map(({ path }) => path)).toEqual([]);
    const barrels = sources.filter(({ code }) => !/\b(?:function|class|const|interface|type \w+ =)/.test(code));
    expect(barrels.map(({ path }) => path)).toEqual(["server.ts"]);
  });

  it("has no file that nothing imports", () => {
    const entries = ["index.ts", "server.ts", "client/client.ts", "client/members.ts", "react/react.ts", "cli/main.ts"];
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
    const { overrides } = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8")) as {
      overrides: readonly { readonly rules: object }[];
    };
    const rules = {
      "max-params": ["error", { max: 4 }],
      "max-lines-per-function": ["error", { max: 60, skipComments: true, skipBlankLines: true }],
    };
    // The only one: a later override would lift it again.
    const concerned = overrides.filter((one) => Object.keys(rules).some((rule) => rule in one.rules));
    expect(concerned).toEqual([{ files: ["src/**/*.ts"], rules }]);
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
