/**
 * docs/reference/configuration.md against the code: variables and bindings that the server reads, options of createApp and
 * jwt; docs/concepts/promises.md against the tests; docs/guides/limits.md against the numbers.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { AppOptions, JwtOptions } from "../../src/server.ts";
import { defineRoom } from "../../src/room/definition.ts";
import { inSource } from "../support/in-source.ts";
import { section, table } from "../support/protocol-doc.ts";
import { filesBelow, read, root } from "../support/sources.ts";

const text = (path: string) => readFileSync(join(root, path), "utf8");
const doc = text("docs/reference/configuration.md");
const first = (heading: string, column: string) => table(section(heading, doc), column).map(([name = ""]) => name);

/** Text in capitals with underscores, and without comments, that the server's files have: the names of an environment. */
const server = filesBelow("src")
  .filter((path) => !/^src\/(?:cli|client|react)\//.test(path))
  .map((path) => read(path).uncommented)
  .join("\n");
const NAME = /\b(?:AUTH|EVENTS|ALERT|ALLOWED|METRICS|RATE|ENVIRONMENT|EDGEROOMS)(?:_[A-Z]+)*\b/g;
/** Constants of the code, which only look like variables. */
const CONSTANTS = ["ALERT_EVERY", "EVENTS"];
/** What the code puts behind a name. */
const SUFFIX = /_(?:PREVIOUS|SECRET|URL)$/;

describe("docs/reference/configuration.md", () => {
  const documented = [
    ...first("## Variables and secrets", "Variable"),
    ...first("## Bindings", "Binding").filter((name) => /^[A-Z_]+$/.test(name)),
  ];

  it("T22: has every variable and binding that the server reads, and no other", () => {
    const found = [...new Set(server.match(NAME))].filter((name) => !CONSTANTS.includes(name));
    expect(found.length).toBeGreaterThan(8);
    const known = new Set(found);
    expect(
      found.filter((name) => !documented.some((each) => each === name || each.replace(SUFFIX, "") === name)),
    ).toEqual([]);
    expect(documented.filter((name) => !known.has(name) && !known.has(name.replace(SUFFIX, "")))).toEqual([]);
  });

  it("has every option of createApp, and no other", () => {
    const options: Record<keyof AppOptions<object>, true> = {
      rooms: true,
      auth: true,
      origins: true,
      authorize: true,
      limits: true,
      onAlert: true,
    };
    expect(first("## `createApp`", "Option")).toEqual(Object.keys(options));
  });

  it("has every option of jwt, and no other", () => {
    const options: Record<keyof JwtOptions, true> = {
      secret: true,
      jwksUrl: true,
      issuer: true,
      audience: true,
      clockTolerance: true,
      tokenInUrl: true,
      cookie: true,
    };
    expect(first("## `jwt`", "Option")).toEqual(Object.keys(options));
  });
});

describe("docs/concepts/promises.md", () => {
  const numbers = table(text("docs/concepts/promises.md"), "No.").map(([number = ""]) => Number(number));

  it("has the promises 1 to 14, each with a test of its number", () => {
    expect(numbers).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
    const tests = filesBelow("test")
      .filter((path) => path.endsWith(".test.ts"))
      .map((path) => text(path))
      .join("\n");
    const untested = numbers.filter(
      (number) => !new RegExp(`["\`](?:promise |promises [\\d, and]*)${number}\\b`).test(tests),
    );
    expect(untested).toEqual([]);
  });
});

describe("docs/guides/limits.md", () => {
  const cells = text("docs/guides/limits.md")
    .split("\n")
    .filter((line) => /^\| .*\d/.test(line))
    .map((line) => line.split("|").map((cell) => cell.trim()));
  const rows = cells
    .filter(([, , number = ""]) => !number.includes(" a second, "))
    .map(([, what = "", number = "", , , source = ""]) => ({
      what,
      number: Number(number.replaceAll(",", "")),
      source,
    }));
  const { heartbeat: _, rate, ...options } = defineRoom({});
  const byOption: Record<string, unknown> = { ...options, "rate.perSecond": rate.perSecond, "rate.burst": rate.burst };

  it.each(rows)("$what: $number, as in $source", ({ number, source }) => {
    const [, option, path, name] = /^(?:option `([\w.]+)`|`(src\/[\w./-]+)` (\w+))$/.exec(source) ?? [];
    expect(number).toBe(option === undefined ? inSource(path ?? "", name ?? "") : byOption[option]);
  });

  it("D: has what the Worker takes of a user and an address, as in src/http/gate/limits.ts", () => {
    const told = cells.flatMap(([, , pace = ""]) => {
      const [, perSecond = "", burst = ""] = /^([\d,]+) a second, ([\d,]+) at once$/.exec(pace) ?? [];
      return perSecond === "" ? [] : [[perSecond, burst].map((number) => Number(number.replaceAll(",", "")))];
    });
    const paces = [
      ...text("src/http/gate/limits.ts").matchAll(
        /^ {2}(?:join|request|address): \{ perSecond: (\d+), burst: ([\d_]+) \}/gm,
      ),
    ];
    expect(told).toEqual(paces.map(([, ...pace]) => pace.map((number) => Number(number.replaceAll("_", "")))));
    expect(told.length).toBe(3);
  });

  it("has every limit of the protocol that a program can run into", () => {
    const exported = [...text("src/protocol/limits.ts").matchAll(/^export const (\w+)/gm)].map(([, name = ""]) => name);
    // What a publication is on the disk and the wire follows from the largest message.
    const missing = exported.filter(
      (name) => name !== "MAX_ITEM_BYTES" && !rows.some(({ source }) => source.endsWith(` ${name}`)),
    );
    expect(missing).toEqual([]);
    expect(rows.length).toBeGreaterThan(25);
  });
});
