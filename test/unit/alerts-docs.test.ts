/** What ops/alerts.yml tells the person on call to do, against the API, the command and docs/guides/operate.md. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openapi } from "../../src/http/api/openapi.ts";
import { roomRoutes } from "../../src/protocol/api.ts";
import { codes } from "../../src/protocol/codes.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const alerts = read("ops/alerts.yml");
const dashboard = read("ops/grafana.json");
const operate = read("docs/guides/operate.md").replaceAll(/\s+/g, " ");
const advice = alerts.replaceAll(/\s+/g, " ");

/** Paths that follow a method: `GET /rooms/KIND/ROOM/dead-letters`. */
const paths = [...`${alerts}${dashboard}`.matchAll(/\b(?:GET|POST) (?:\.\.\.)?(\/[\w/{}.-]*\w)/g)].map(
  ([, path = ""]) => path,
);

it("E12: every address in the alerts and on the dashboard is one of the API", () => {
  const known = Object.keys(openapi(["/rooms/:kind/:room"]).paths);
  const ofRooms = Object.values(roomRoutes).map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(2);
  for (const path of paths) {
    const [, , , , operation] = path.split("/");
    const isKnown = operation === undefined ? known.includes(path) : ofRooms.includes(`/${operation}`);
    expect(isKnown || ofRooms.includes(path), path).toBe(true);
  }
});

it("E12: every command in the alerts and on the dashboard is one of `edgerooms`, with options that it has", () => {
  const commands = [...`${alerts}${dashboard}`.matchAll(/`edgerooms ([a-z-]+)([^`]*)`/g)];
  expect(commands.length).toBeGreaterThan(3);
  const sources = ["rooms", "dead-letters", "failures"].map((name) => read(`src/cli/${name}.ts`)).join("\n");
  for (const [, name = "", rest = ""] of commands) {
    expect(sources, name).toContain(`name: "${name}"`);
    for (const [, option = ""] of rest.matchAll(/--(\w+)/g)) expect(sources).toMatch(new RegExp(`\\b${option}: \\{`));
  }
});

it("E12: every code that an alert looks at exists", () => {
  const named = [...alerts.matchAll(/code=~?"([^"]+)"/g)].flatMap(([, list = ""]) => list.split("|"));
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((code) => !Object.hasOwn(codes, code))).toEqual([]);
});

it("E12: the alerts say of an issuer that is away what docs/guides/operate.md says: known keys stay in use, whatever their age", () => {
  expect(operate).toContain("the last good key set stays in use, whatever its age");
  expect(advice).toContain("Isolates that have the issuer's keys keep them, whatever their age");
  expect(advice).not.toMatch(/longer than its cache/);
});
