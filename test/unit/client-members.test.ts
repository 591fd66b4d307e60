/** Members of a large room as a program reads them: page by page, over what stands for a client. */
import { describe, expect, it, vi } from "vitest";
import type { Data, Json } from "../../src/client/client.ts";
import { allMembers, members } from "../../src/client/members.ts";

/** A client of a room with these members, which answers as a room does; and what it was asked. */
function clientOf(...ids: string[]) {
  const asked: unknown[] = [];
  const call = (method: string, data: Data = null, options: object = {}): Promise<Json> => {
    asked.push([method, data, options]);
    const { after = "", limit = 2 } = data as { after?: string; limit?: number };
    const rest = ids.filter((id) => id > after);
    const page = rest.slice(0, limit);
    const next = page.length === limit ? page.at(-1) : undefined;
    return Promise.resolve({ members: page.map((id) => ({ id })), count: ids.length, ...(next && { next }) });
  };
  return { asked, client: { call } };
}

async function idsOf(all: AsyncIterable<{ readonly id: string }>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of all) ids.push(id);
  return ids;
}

describe("members", () => {
  it("asks for one page, and for nothing that it was not told to", async () => {
    const { asked, client } = clientOf("a", "b", "c");
    expect(await members(client)).toEqual({ members: [{ id: "a" }, { id: "b" }], count: 3, next: "b" });
    expect(await members(client, { after: "b", limit: 5, timeout: 10 })).toEqual({ members: [{ id: "c" }], count: 3 });
    expect(asked).toEqual([
      ["edgerooms.who", {}, {}],
      ["edgerooms.who", { after: "b", limit: 5 }, { timeout: 10 }],
    ]);
  });

  it("rejects with what the call does", async () => {
    const client = { call: () => Promise.reject(new Error("not_connected")) };
    await expect(members(client)).rejects.toThrow("not_connected");
    await expect(idsOf(allMembers(client))).rejects.toThrow("not_connected");
  });
});

describe("allMembers", () => {
  it("has everyone, each once, and asks for a page only when the one before is read", async () => {
    const { asked, client } = clientOf("a", "b", "c", "d", "e");
    const all = allMembers(client);
    expect(await all.next()).toEqual({ done: false, value: { id: "a" } });
    await all.next();
    expect(asked).toHaveLength(1);
    expect(await idsOf(all)).toEqual(["c", "d", "e"]);
    expect(asked).toHaveLength(3);
  });

  it("waits where the rate allows no page yet, longer each time", async () => {
    vi.useFakeTimers();
    try {
      const { asked, client } = clientOf("a");
      let refusals = 2;
      const call = (...given: Parameters<typeof client.call>) =>
        refusals-- > 0
          ? Promise.reject(Object.assign(new Error("wait"), { code: "rate_limited", retryAfter: 50 }))
          : client.call(...given);
      const ids = idsOf(allMembers({ call }));
      await vi.advanceTimersByTimeAsync(1_050 + 2_049);
      expect(asked).toHaveLength(0);
      await vi.advanceTimersByTimeAsync(1);
      expect(await ids).toEqual(["a"]);
    } finally {
      vi.useRealTimers();
    }
  });

  it("begins where it is told to", async () => {
    expect(await idsOf(allMembers(clientOf("a", "b", "c").client, { after: "a", limit: 1 }))).toEqual(["b", "c"]);
  });

  it("of an empty room has nobody", async () => {
    expect(await idsOf(allMembers(clientOf().client))).toEqual([]);
  });
});
