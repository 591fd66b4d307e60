/** The contract of the stores over NodeStorage. */
import { describe } from "vitest";
import { storesContract } from "../contract/stores.ts";
import { NodeStorage } from "../support/sqlite.ts";

describe("stores over NodeStorage", () => {
  storesContract(async (test) => test(new NodeStorage()));
});
