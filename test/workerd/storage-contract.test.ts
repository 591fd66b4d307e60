/** The storage contract over the runtime's own storage. */
import { runInDurableObject } from "cloudflare:test";
import { describe } from "vitest";
import { storageContract } from "../contract/storage.ts";
import { TestedRoom } from "../support/room.ts";

describe("Durable Object storage", () => {
  storageContract((test) => runInDurableObject(new TestedRoom().stub, (_room, { storage }) => test(storage)));
});
