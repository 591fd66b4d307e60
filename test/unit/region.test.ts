/** Where in the world a client is, by what the platform says of its request. */
import { expect, it } from "vitest";
import { regionOf } from "../../src/http/gate/region.ts";
import { LOCATION_HINTS } from "../../src/http/gate/places.ts";

it.each<[string, unknown, string]>([
  ["San Francisco", { continent: "NA", longitude: "-122.42" }, "wnam"],
  ["New York", { continent: "NA", longitude: "-74.01" }, "enam"],
  ["the line between the two", { continent: "NA", longitude: "-100" }, "enam"],
  ["Mexico City", { continent: "NA", longitude: "-99.13" }, "enam"],
  ["São Paulo", { continent: "SA", longitude: "-46.63" }, "sam"],
  ["London, where the longitude is nearly 0", { continent: "EU", longitude: "-0.13" }, "weur"],
  ["Berlin", { continent: "EU", longitude: "13.4" }, "weur"],
  ["Bucharest", { continent: "EU", longitude: "26.1" }, "eeur"],
  ["Riyadh", { continent: "AS", longitude: "46.72" }, "me"],
  ["Tokyo", { continent: "AS", longitude: "139.69" }, "apac"],
  ["Sydney", { continent: "OC", longitude: "151.21" }, "oc"],
  ["Lagos", { continent: "AF", longitude: "3.38" }, "afr"],
  ["North America without a longitude", { continent: "NA" }, "enam"],
  ["Europe with an empty one", { continent: "EU", longitude: "" }, "weur"],
  ["Asia with one that is none", { continent: "AS", longitude: "east" }, "apac"],
  ["Antarctica", { continent: "AN", longitude: "0" }, "any"],
  ["a proxy that hides it", { country: "T1" }, "any"],
  ["a continent that is a property of every object", { continent: "constructor" }, "any"],
  ["no continent but a number", { continent: 5 }, "any"],
  ["a developer's machine", undefined, "any"],
  ["nothing", null, "any"],
])("%s", (_, cf, region) => {
  expect(regionOf(cf)).toBe(region);
  if (region !== "any") expect(LOCATION_HINTS).toContain(region);
});

it("is a place of the jurisdiction, or none: its objects are made in no other", () => {
  const [berlin, tokyo, denver] = [
    { continent: "EU", longitude: "13.4" },
    { continent: "AS", longitude: "139.69" },
    { continent: "NA", longitude: "-104.99" },
  ];
  expect([berlin, tokyo, denver].map((cf) => regionOf(cf, "eu"))).toEqual(["weur", "any", "any"]);
  expect([berlin, tokyo, denver].map((cf) => regionOf(cf, "us"))).toEqual(["any", "any", "wnam"]);
});
