/** The OpenAPI document by itself: valid, and complete in what it refers to. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, it } from "vitest";
import type { Described } from "../../src/http/api/describe.ts";
import { openapi } from "../../src/http/api/openapi.ts";
import { codes } from "../../src/protocol/codes.ts";

const LONG = "/rooms/:kind/:room";
const SHORT = "/rooms/:room";

it.each([
  ["several kinds of rooms", [LONG], ""],
  ["one kind, under a path", [LONG, SHORT], "/rt/v1"],
])("the document of an app with %s is valid OpenAPI 3.1", async (_what, paths, at) => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(
    structuredClone(openapi(paths, at)) as object as Record<string, unknown>,
  );
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
  expect(validator.version).toBe("3.1");
});

it("every reference in it leads somewhere, and every schema is used", () => {
  const document = openapi([LONG, SHORT]);
  const text = JSON.stringify(document);
  const named = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) => String(name)));
  expect([...named].toSorted()).toEqual(Object.keys(document.components.schemas).toSorted());
});

it("ids of operations are unique, and every path says what its parameters are", () => {
  const { paths } = openapi([LONG, SHORT]);
  const ids = Object.values(paths).flatMap((item) =>
    [item.get, item.post].flatMap((described?: Described) => described?.operationId ?? []),
  );
  expect(ids).toHaveLength(new Set(ids).size);
  for (const [path, { parameters = [] }] of Object.entries(paths)) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(parameters.map(({ name }) => name)).toEqual(named);
  }
});

it("a problem can have every code of the table, and no other", () => {
  const { schemas } = openapi([LONG]).components;
  expect(schemas["Problem"]).toMatchObject({ properties: { code: { enum: Object.keys(codes) } } });
});

it("says where it is mounted", () => {
  expect(openapi([LONG]).servers).toEqual([{ url: "/" }]);
  expect(openapi([LONG], "/rt").servers).toEqual([{ url: "/rt" }]);
});
