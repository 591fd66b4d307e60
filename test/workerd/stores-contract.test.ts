/** The contract of the stores over the runtime's own storage. */
import { runInDurableObject } from "cloudflare:test";
import { describe } from "vitest";
import { storesContract } from "../contract/stores.ts";
import { TestedRoom } from "../support/room.ts";

describe("stores over Durable Object storage", () => {
  storesContract((test) => runInDurableObject(new TestedRoom().stub, (_room, { storage }) => test(storage)));
});
