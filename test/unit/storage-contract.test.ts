/** The storage contract over NodeStorage, in memory and in a file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { storageContract } from "../contract/storage.ts";
import type { TestedStorage } from "../contract/given.ts";
import { NodeStorage } from "../support/sqlite.ts";

const folder = mkdtempSync(join(tmpdir(), "edgerooms-storage-"));
let made = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function withStorage(storage: NodeStorage, test: (storage: TestedStorage) => void | Promise<void>) {
  try {
    await test(storage);
  } finally {
    storage.close();
  }
}

describe("NodeStorage in memory", () => {
  storageContract((test) => withStorage(new NodeStorage(), test));
});

describe("NodeStorage in a file", () => {
  storageContract((test) => withStorage(new NodeStorage(join(folder, `${++made}.sqlite`)), test));
});
