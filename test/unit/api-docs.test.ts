/** docs/reference/api is what scripts/api.mjs writes from the source as it is. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import * as client from "../../src/client/client.ts";
import * as react from "../../src/react/react.ts";
import { root } from "../support/sources.ts";

const headings = (page: string) =>
  [...readFileSync(join(root, `docs/reference/api/${page}.md`), "utf8").matchAll(/^## (\w+)$/gm)].map(
    ([, name]) => name,
  );

it("the reference of the exports is as the source has it: npm run api", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/api.mjs", "--check"], {
    cwd: root,
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

it.each([
  ["client", client],
  ["react", react],
])("the page of %s has every value that the entry exports", (page, entry) => {
  expect(headings(page)).toEqual(expect.arrayContaining(Object.keys(entry)));
});

it("the page of the server has what its users write", () => {
  expect(headings("server")).toEqual(expect.arrayContaining(["createApp", "defineRoom", "RoomContext", "Room", "jwt"]));
});
