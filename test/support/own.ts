/** What a client knows of its own publications and nobody else does. */
import type { Publication } from "../../src/protocol/frames.ts";

/** A publication as a client hands it over: with its ref where the client published it. */
export type Got = Publication & { readonly ref?: number };

/** A publication as everyone sees it. */
export function everyones(item: Got): Publication {
  const { ref: _ref, ...rest } = item;
  return rest;
}
