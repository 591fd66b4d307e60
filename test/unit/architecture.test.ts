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
  /** What it imports: paths below src/, or names of packages. */
  readonly imports: readonly string[];
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.includes("/."));
}

const sources: Source[] = filesBelow("src")
  .filter((path) => path.endsWith(".ts"))
  .map((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const path = relative("src", file);
    const imports = [...text.matchAll(/^(?:import|export)\b[^;]*?from "([^"]+)";/gms)].map(([, name = ""]) =>
      name.startsWith(".") ? relative(".", join(path, "..", name)) : name,
    );
    const code = text
      .replaceAll(/\/\*.*?\*\//gs, "")
      .replaceAll(/\/\/.*$/gm, "")
      .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
    return { path, text, code, imports };
  });

/** Not what a program has written: Grafana exports its dashboards. */
const isWritten = (path: string) => !path.endsWith(".json");

const inFolder = (folder: string) => sources.filter(({ path }) => path.startsWith(`${folder}/`));
const foldersOf = ({ imports }: Source) => imports.map((name) => name.split("/")[0] ?? name);

describe("the house", () => {
  it("has the sources it thinks it has", () => {
    expect(sources.length).toBeGreaterThan(30);
    const step = sources.find(({ path }) => path === "room/core/step.ts");
    expect(step?.imports).toContain("protocol/codec.ts");
  });

  it.each(inFolder("protocol"))("$path imports nothing of ours but protocol/", (source) => {
    expect(source.imports.filter((name) => !name.startsWith("protocol/"))).toEqual([]);
  });

  it.each(inFolder("room"))("$path never imports http/, ops/ or client/", (source) => {
    expect(foldersOf(source).filter((folder) => !["protocol", "room", "cloudflare:workers"].includes(folder))).toEqual(
      [],
    );
  });

  it.each(inFolder("room").filter(({ path }) => path !== "room/runtime/object.ts"))(
    "$path leaves sockets to sockets.ts; alarms, the clock and cloudflare:workers to object.ts",
    ({ path, code, imports }) => {
      expect(imports).not.toContain("cloudflare:workers");
      expect(code).not.toMatch(
        /\bDate\.now\b|\bnew Date\b|\bperformance\.now\b|\bsetAlarm\b|\bgetAlarm\b|\bdeleteAlarm\b/,
      );
      if (path === "room/runtime/sockets.ts") return;
      expect(code).not.toMatch(/\bWebSocket\b|\bWebSocketPair\b|\bacceptWebSocket\b|\bgetWebSockets\b/);
    },
  );

  it.each(inFolder("http"))(
    "$path imports only hono, jose, protocol/, ops/, admission and what rooms are typed with",
    (source) => {
      const allowed =
        /^(?:hono(?:\/.*)?|jose|protocol\/.*|http\/.*|ops\/.*|room\.ts|room\/(?:admission|definition|telemetry\/failure|core\/operate)\.ts)$/;
      expect(source.imports.filter((name) => !allowed.test(name))).toEqual([]);
      // Of the room itself only its type: the Worker must not pull the engine in by accident.
      expect(source.text).not.toMatch(/^import (?!type)[^;]*(?:room\/(?:core\/operate|definition)|room)\.ts";/m);
    },
  );

  it.each(inFolder("ops"))("$path imports room/ and protocol/, never http/, client/ or cli/", (source) => {
    const allowed = ["protocol", "room", "ops", "cloudflare:workers", "cockatiel"];
    expect(foldersOf(source).filter((folder) => !allowed.includes(folder))).toEqual([]);
  });

  it.each(inFolder("cli"))("$path imports Node, jose and protocol/ only", (source) => {
    const allowed = /^(?:node:.*|jose|protocol\/.*|cli\/.*)$/;
    expect(source.imports.filter((name) => !allowed.test(name))).toEqual([]);
  });

  it.each(inFolder("client"))("$path imports protocol/ only", (source) => {
    expect(foldersOf(source).filter((folder) => !["protocol", "client"].includes(folder))).toEqual([]);
  });

  it("keeps the halves of the client apart: of each other they import types only", () => {
    const halves = { connection: inFolder("client/connection"), session: inFolder("client/session") };
    const values = (files: readonly Source[], folder: string) =>
      files
        .filter(({ text }) => new RegExp(`^import (?!type)[^;]*/${folder}/`, "m").test(text))
        .map(({ path }) => path);
    expect([halves.connection.length > 4, halves.session.length > 6]).toEqual([true, true]);
    expect(values(halves.connection, "session")).toEqual([]);
    expect(values(halves.session, "connection")).toEqual([]);
  });

  it.each(inFolder("react"))("$path imports react and client/ only", (source) => {
    expect(foldersOf(source).filter((folder) => !["react", "client"].includes(folder))).toEqual([]);
  });

  it("keeps SQL in schema.ts and in the module that owns the table", () => {
    const owners = {
      edgerooms_meta: ["room/store/schema.ts"],
      edgerooms_sessions: ["room/store/schema.ts", "room/store/sessions.ts"],
      edgerooms_log: ["room/store/log.ts", "room/store/schema.ts"],
      edgerooms_refs: ["room/store/log.ts", "room/store/schema.ts"],
      edgerooms_jobs: ["room/store/schema.ts", "room/store/timers.ts"],
      edgerooms_keys: ["room/store/idempotency.ts", "room/store/schema.ts"],
      edgerooms_outbox: ["room/store/outbox.ts", "room/store/schema.ts"],
      edgerooms_dead: ["room/store/outbox.ts", "room/store/schema.ts"],
      edgerooms_directory: ["ops/directory.ts"],
      edgerooms_past: ["ops/directory.ts"],
      edgerooms_notes: ["ops/directory.ts"],
      edgerooms_revoked: ["room/store/revocations.ts", "room/store/schema.ts"],
    };
    for (const [table, files] of Object.entries(owners)) {
      const users = sources.filter(({ text }) => new RegExp(`(?:TABLE|INTO|FROM|UPDATE) ${table}\\b`).test(text));
      expect(users.map(({ path }) => path).toSorted()).toEqual(files);
    }
    const executing = sources.filter(({ code }) => /\bsql\s*\.exec\(|\.exec[<(]/.test(code)).map(({ path }) => path);
    expect(executing.filter((path) => !path.startsWith("room/"))).toEqual(["ops/directory.ts"]);
  });

  it("has no file that is named after nothing, and no barrel but the published entries", () => {
    const nameless = sources.filter(({ path }) => /(?:^|\/)(?:utils?|helpers?|types|common|misc)\.ts$/.test(path));
    expect(nameless.map(({ path }) => path)).toEqual([]);
    const barrels = sources.filter(({ code }) => !/\b(?:function|class|const|interface|type \w+ =)/.test(code));
    expect(barrels.map(({ path }) => path)).toEqual(["server.ts"]);
  });

  it("has no import that nothing needs and no file that nothing imports", () => {
    const entries = ["index.ts", "server.ts", "client/client.ts", "react/react.ts", "cli/main.ts"];
    const imported = new Set(sources.flatMap(({ imports }) => imports));
    expect(sources.map(({ path }) => path).filter((path) => !imported.has(path) && !entries.includes(path))).toEqual(
      [],
    );
  });

  it.each(
    ["src", "test", "ops", "public", "scripts"]
      .flatMap(filesBelow)
      .filter(isWritten)
      .map((path) => ({ path })),
  )("$path has at most 400 lines", ({ path }) => {
    expect(readFileSync(join(root, path), "utf8").split("\n").length - 1).toBeLessThanOrEqual(400);
  });

  it.each(sources)("$path begins by saying what it owns", ({ text }) => {
    expect(text).toMatch(/^\/\*\*/);
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
