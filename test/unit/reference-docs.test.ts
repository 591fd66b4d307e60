/**
 * The references that people read against the one that `npm run api` writes from the types: every member of the client, of a
 * room's context and of what a hook is given, every event, option and hook has a row; and every command of `edgerooms` a heading.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../support/sources.ts";

const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The declaration of an export, as docs/reference/api has it. */
function declared(page: string, name: string): string {
  const [, below = ""] = read(`docs/reference/api/${page}.md`).split(`\n## ${name}\n`);
  const [, code = ""] = /```ts\n([^]*?)```/.exec(below.split("\n## ")[0] ?? "") ?? [];
  if (code === "") throw new Error(`docs/reference/api/${page}.md has no ${name}`);
  return code;
}

/** The names of the members of a declaration: what stands two blanks from the edge. */
const membersOf = (code: string) => [
  ...new Set([...code.matchAll(/^ {2}(?:readonly |get )?([a-z]\w*)\??[(:<]/gim)].map(([, name = ""]) => name)),
];

/** Names that no row of a table of the document begins with. Rows can begin with several. */
function without(path: string, names: readonly string[]): string[] {
  const cells = [...read(path).matchAll(/^\| ([^|]*) \|/gm)].map(([, cell = ""]) => cell);
  return names.filter((name) => !cells.some((cell) => new RegExp(`\`(?:[\\w.]+\\.)?${name}\\b`).test(cell)));
}

describe("docs/reference/rooms.md", () => {
  const doc = "docs/reference/rooms.md";

  it("has every member of RoomContext", () => {
    const names = membersOf(declared("server", "RoomContext"));
    expect(names).toEqual(
      expect.arrayContaining(["sql", "members", "recent", "publish", "schedule", "cancel", "defer"]),
    );
    expect(without(doc, names)).toEqual([]);
  });

  it("has every hook, option and method of a definition", () => {
    const names = membersOf(declared("server", "Definition"));
    expect(names).toEqual(
      expect.arrayContaining(["onJoin", "onPublish", "onSignal", "onPresence", "onLeave", "onTimer", "snapshot"]),
    );
    expect(without(doc, names)).toEqual([]);
  });

  it("says what a hook is given of a member", () => {
    const names = membersOf(declared("server", "Me"));
    expect(names.length).toBeGreaterThan(3);
    const [, sentence = ""] = /`me` is the member([^]*?)\n\n/.exec(read(doc)) ?? [];
    expect(names.filter((name) => !sentence.includes(`\`${name}\``))).toEqual([]);
  });

  it("finds a row that is missing", () => {
    expect(without(doc, ["publish", "unheardOf"])).toEqual(["unheardOf"]);
  });
});

describe("docs/reference/client.md", () => {
  const doc = "docs/reference/client.md";

  it.each([
    ["method and property", "RoomClient", ["publish", "check", "ready", "me"]],
    ["option", "ConnectOptions", ["room", "token", "storage"]],
    ["event", "RoomEvents", ["publication", "reset", "lost"]],
  ])("has every %s", (_, name, some) => {
    const names = membersOf(declared("client", name)).filter((each) => each !== "constructor");
    expect(names).toEqual(expect.arrayContaining(some));
    expect(without(doc, names)).toEqual([]);
  });
});

it("docs/reference/react.md has every hook and component", () => {
  const exported = [...read("docs/reference/api/react.md").matchAll(/^## (use\w+|\w+Provider)$/gm)];
  expect(exported.length).toBeGreaterThan(7);
  const text = read("docs/reference/react.md");
  expect(exported.map(([, name = ""]) => name).filter((name) => !text.includes(name))).toEqual([]);
});

it("docs/reference/command.md has every command", () => {
  const sources = readdirSync(join(root, "src/cli")).map((file) => read(`src/cli/${file}`));
  const names = sources.flatMap((source) =>
    [...source.matchAll(/^ {2}name: "([\w-]+)"/gm)].map(([, name = ""]) => name),
  );
  expect(names.length).toBeGreaterThan(10);
  const headings = [...read("docs/reference/command.md").matchAll(/^## (.+)$/gm)].flatMap(([, title = ""]) =>
    title.split(", "),
  );
  expect(names.filter((name) => !headings.includes(name))).toEqual([]);
});
