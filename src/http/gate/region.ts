/**
 * Where in the world a client is, as the place where an object for it should be made. Knows what the platform says of a
 * request, and nothing of rooms.
 */
import type { Jurisdiction } from "../../ops/jurisdiction.ts";
import type { LocationHint } from "./places.ts";

/** A place, or `any` where nobody knows. */
export type Region = LocationHint | "any";

/** In a jurisdiction there are no other places than these. */
const WITHIN: Readonly<Record<Jurisdiction, readonly Region[]>> = {
  eu: ["weur", "eeur"],
  us: ["wnam", "enam"],
  fedramp: ["wnam", "enam"],
  "fedramp-high": ["wnam", "enam"],
};

/** Longitudes, in degrees, that part a continent in two: the place west of it, and the one east of it. */
const PARTED: Readonly<Record<string, { readonly at: number; readonly west: Region; readonly east: Region }>> = {
  NA: { at: -100, west: "wnam", east: "enam" },
  EU: { at: 20, west: "weur", east: "eeur" },
  AS: { at: 60, west: "me", east: "apac" },
};
const WHOLE: Readonly<Record<string, Region>> = { SA: "sam", OC: "oc", AF: "afr" };
/** What most of a continent's people are near to, where the platform does not know the longitude. */
const USUAL: Readonly<Record<string, Region>> = { NA: "enam", EU: "weur", AS: "apac" };

/** The region of a request, by its `cf`, which is absent on a developer's machine. */
export function regionOf(cf: unknown, jurisdiction?: Jurisdiction): Region {
  const region = regionIn(cf);
  return jurisdiction === undefined || WITHIN[jurisdiction].includes(region) ? region : "any";
}

function regionIn(cf: unknown): Region {
  const { continent, longitude } = (cf ?? {}) as { readonly continent?: unknown; readonly longitude?: unknown };
  if (typeof continent !== "string") return "any";
  if (Object.hasOwn(WHOLE, continent)) return WHOLE[continent] ?? "any";
  const parted = Object.hasOwn(PARTED, continent) ? PARTED[continent] : undefined;
  if (!parted) return "any";
  // A text of the platform's; an empty one is none.
  const degrees = typeof longitude === "string" && longitude !== "" ? Number(longitude) : NaN;
  if (Number.isNaN(degrees)) return USUAL[continent] ?? "any";
  return degrees < parted.at ? parted.west : parted.east;
}
