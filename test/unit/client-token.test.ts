/** The client's tokens in virtual time: how they are got, carried, replaced, refused, and what is said of them. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RoomError } from "../../src/client/client.ts";
import type { Fetch } from "../../src/client/session/token.ts";
import { tokenIn } from "../../src/protocol/bearer.ts";
import { dialled, joined, pub, snapshot } from "../support/dialled.ts";
import { Line } from "../support/line.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("a token", () => {
  it("a token is got before each attempt, and travels as a subprotocol", async () => {
    let asked = 0;
    const { all, line } = await joined({ token: () => `token.${++asked}` });
    line().cut();
    await pass(10);
    expect(all.map(({ protocols }) => protocols)).toEqual([
      ["edgerooms.v1", "bearer.token.1"],
      ["edgerooms.v1", "bearer.token.2"],
    ]);
  });

  it("a token is replaced a minute ahead of its end, again and again, on the same connection", async () => {
    const posts: string[] = [];
    const fetch: Fetch = (url, { headers, body }) => {
      posts.push(`${url} ${headers["authorization"]} ${body}`);
      return Promise.resolve({ ok: true, status: 200, json: async () => ({ expires: Date.now() + 600_000 }) });
    };
    let asked = 0;
    const { all, log } = await joined({ token: () => `t${++asked}`, fetch, random: () => 0 });
    const answering = setInterval(() => all[0]?.pongs(), 5_000);
    await pass(3_539_999);
    expect(posts).toEqual([]);
    await pass(1);
    const post = (n: number) => `http://edge.test/rooms/relay/one/session Bearer t${n} {"session":"s"}`;
    expect(posts).toEqual([post(2)]);
    await pass(540_000);
    expect(posts).toEqual([post(2), post(3)]);
    expect([all.length, log]).toEqual([1, []]);
    clearInterval(answering);
  });

  it("a token that cannot be replaced is an error, and is tried again at half of what is left", async () => {
    const start = Date.now();
    let asked = 0;
    const tries: number[] = [];
    const token = () => {
      if (++asked === 1) return "t";
      tries.push(Date.now() - start);
      throw new Error("no network");
    };
    const { client, log, line, all } = dialled({ token, random: () => 0 });
    await pass(0);
    line().welcome({ expires: start + 8_000 }, snapshot);
    log.length = 0;
    await pass(7_900);
    expect(tries).toEqual([4_000, 6_000, 7_000]);
    expect(log).toEqual(Array(3).fill("error token_expired Error: no network"));
    expect([client.state.name, all.length]).toEqual(["open", 1]);
  });

  it("a new token that the room refuses is an error event", async () => {
    const fetch: Fetch = () => Promise.resolve({ ok: false, status: 403, json: async () => ({}) });
    const { log, line } = dialled({ fetch });
    await pass(0);
    line().welcome({ expires: Date.now() + 3_000 }, snapshot);
    await pass(1_500);
    expect(log.at(-1)).toBe("error token_expired Error: the room refused the new token: 403");
  });

  it("a token that runs out brings a new one at once, and the session goes on", async () => {
    const { line, log, all } = await joined();
    line().hears(pub(1, 1), { type: "bye", code: 4200, reason: "token_expired" });
    await pass(0);
    expect([log, all.length]).toEqual([["connecting"], 2]);
    expect(line().resume).toBe("session=s&epoch=e&offset=1");
  });

  it("a fixed token that runs out closes the client", async () => {
    const { line, log, all } = await joined({ token: "fixed" });
    line().hears({ type: "bye", code: 4200, reason: "token_expired" });
    await pass(1_000_000);
    expect([log, all.length]).toEqual([["closed token_expired"], 1]);
  });

  it("a token function that fails is called again later", async () => {
    let asked = 0;
    const token = () => (++asked < 3 ? Promise.reject(new Error("try later")) : Promise.resolve("t"));
    const { log, all } = dialled({ token });
    await pass(30);
    const why = "no token: Error: try later";
    expect(log).toEqual(["connecting", `reconnecting 10 ${why}`, "connecting", `reconnecting 20 ${why}`, "connecting"]);
    expect(all).toHaveLength(1);
  });

  it("a token function may take 30 s, and its late answer counts for nothing", async () => {
    const answers: ((token: string) => void)[] = [];
    const { log, all } = dialled({ token: () => new Promise((resolve) => answers.push(resolve)) });
    await pass(29_999);
    expect(log).toEqual(["connecting"]);
    await pass(1);
    expect(log.at(-1)).toBe("reconnecting 10 no token: too late");
    await pass(10);
    for (const answer of answers) answer("t");
    await pass(0);
    expect([answers.length, all.length]).toEqual([2, 1]);
  });

  it("a token that comes after close() opens no socket", async () => {
    const answers: ((token: string) => void)[] = [];
    const { client, log, all } = dialled({ token: () => new Promise((resolve) => answers.push(resolve)) });
    client.close();
    client.connect();
    client.close();
    answers[0]?.("t");
    await pass(0);
    expect(all).toEqual([]);
    client.connect();
    for (const answer of answers) answer("t");
    await pass(0);
    expect([answers.length, all.length]).toEqual([3, 1]);
    expect(log).toEqual(["connecting", "closed closed", "connecting", "closed closed", "connecting"]);
  });

  it("a renewal that ends after close() starts no timer", async () => {
    let answer: (response: Awaited<ReturnType<Fetch>>) => void = () => undefined;
    const fetch: Fetch = () => new Promise((resolve) => (answer = resolve));
    const { client, line } = dialled({ fetch });
    await pass(0);
    line().welcome({ expires: Date.now() + 2_000 }, snapshot);
    await pass(1_000);
    client.close();
    answer({ ok: true, status: 200, json: async () => ({ expires: Date.now() + 2_000 }) });
    await pass(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a token that is refused", () => {
  const refused = { type: "bye", code: 4401, reason: "unauthorized", message: "the key is retired" };
  /** A client whose token function counts, and a room that refuses some upgrades: which ones, by number from 1. */
  async function refusing(which: readonly number[], frame: object = refused, token?: () => unknown) {
    let asked = 0;
    let upgrades = 0;
    const made = dialled({ token: (token ?? (() => `t${++asked}`)) as () => string }, (line) =>
      queueMicrotask(() => {
        if (!which.includes(++upgrades)) return line.welcome();
        if ("type" in frame) line.hears(frame);
        else line.says("close", frame);
      }),
    );
    await pass(20_000);
    return made;
  }

  it.each([
    ["a bye", refused],
    ["a close without a bye", { code: 4401, reason: "" }],
  ])("C7: E2: %s of unauthorized brings one try with a fresh token", async (_, frame) => {
    const { client, all, log } = await refusing([1], frame);
    expect(all.map(({ protocols: [, token] }) => token)).toEqual(["bearer.t1", "bearer.t2"]);
    expect([log.filter((entry) => !entry.startsWith("reset")).at(-1), client.me]).toEqual(["open", "ann"]);
  });

  it("C7: the second refusal in a row closes the client, with the room's code", async () => {
    const { client, all } = await refusing([1, 2]);
    expect(client.state).toEqual({
      name: "closed",
      code: "unauthorized",
      retryable: false,
      reason: "unauthorized: the key is retired",
    });
    expect(all).toHaveLength(2);
    await expect(client.ready).rejects.toMatchObject({ code: "unauthorized", retryable: false });
  });

  it("C7: connect() after that has the same two tries", async () => {
    const { client, all } = await refusing([1, 2, 3, 4]);
    client.connect();
    await pass(60_000);
    expect([client.state.name, all.length]).toEqual(["closed", 4]);
  });

  it("C7: a refusal after a welcome is the first again", async () => {
    const { client, all, line } = await refusing([1, 3]);
    line().cut();
    await pass(10_000);
    expect([client.state.name, all.length]).toEqual(["open", 4]);
  });

  it("C7: a fixed token that is refused closes the client at once", async () => {
    const { client, line, all } = dialled({ token: "fixed" });
    await pass(0);
    line().hears(refused);
    await pass(60_000);
    expect([client.state, all.length]).toMatchObject([{ name: "closed", code: "unauthorized" }, 1]);
  });

  it("T5: the fresh token is kept back for 3 s, so that an issuer whose clock is 12 s ahead is taken", async () => {
    // The room takes what was issued up to 10 s ahead of its clock.
    const ahead = 12_000;
    const tolerance = 10_000;
    const { client, all } = dialled({ token: () => `t.${Date.now() + ahead}` }, (line) =>
      queueMicrotask(() => {
        const issued = Number(line.protocols[1]?.split(".")[2]);
        if (issued > Date.now() + tolerance) line.hears(refused);
        else line.welcome();
      }),
    );
    await pass(10_000);
    expect([client.state.name, all.length]).toEqual(["open", 2]);
  });

  it("T5: a text that is early is tried again when the room says, because time makes it good", async () => {
    const { client, line, all } = dialled({ token: "t" });
    await pass(0);
    line().hears({ type: "bye", code: 4201, reason: "token_early", retryAfter: 12_000 });
    await pass(11_900);
    expect([client.state.name, all.length]).toEqual(["reconnecting", 1]);
    await pass(200);
    line().welcome({}, snapshot);
    expect([client.state.name, all.length]).toEqual(["open", 2]);
    line().hears({ type: "bye", code: 4200, reason: "token_expired" });
    expect(client.state).toMatchObject({ name: "closed", code: "token_expired" });
  });

  it("T5: close() while a token is kept back leaves no timer and opens no socket", async () => {
    const { client, line, all } = dialled();
    await pass(0);
    line().hears(refused);
    await pass(1_000);
    client.close();
    await pass(0);
    expect([vi.getTimerCount(), all.length]).toEqual([0, 1]);
  });

  it.each([[undefined], [null], [""], [42], [{ token: "t" }]])(
    "T25: a token function that gives %j closes the client at the second time, and says why",
    async (token) => {
      let asked = 0;
      const { client, all } = await refusing([], refused, () => (asked++, token));
      expect([asked, all.length]).toEqual([2, 0]);
      expect(client.state).toEqual({
        name: "closed",
        code: "unauthorized",
        retryable: false,
        reason: "no token: RoomError: A token is a text that is not empty.",
      });
    },
  );

  it("C7: a token endpoint that is well again the second time costs nothing but the wait", async () => {
    let asked = 0;
    const { client } = await refusing([], refused, () => (++asked === 1 ? "" : "good"));
    expect([client.state.name, asked]).toEqual(["open", 2]);
  });
});

describe("a token function that says stop", () => {
  const stop = new RoomError("unauthorized", "Logged out.", false);

  it("C13: closes the client with its code, before a connection", async () => {
    const { client, all } = dialled({ token: () => Promise.reject(stop) });
    const { ready } = client;
    await expect(ready).rejects.toMatchObject({ code: "unauthorized", retryable: false });
    await pass(1_000_000);
    const reason = "no token: RoomError: Logged out.";
    expect(client.state).toEqual({ name: "closed", code: "unauthorized", retryable: false, reason });
    expect(all).toEqual([]);
  });

  it("C13: closes the client with its code, when the token of a connection is due", async () => {
    let asked = 0;
    const { client, line } = dialled({
      token: () => {
        if (++asked > 1) throw new RoomError("revoked", "Banned.", false);
        return "t";
      },
    });
    await pass(0);
    line().welcome({ expires: Date.now() + 8_000 }, snapshot);
    await pass(5_000);
    expect(client.state).toMatchObject({ name: "closed", code: "revoked", retryable: false });
    expect([line().closed, vi.getTimerCount()]).toEqual([1, 0]);
  });

  it("C13: a RoomError that is retryable, and any other error, is tried again later", async () => {
    let asked = 0;
    const token = () => {
      if (++asked > 2) return "t";
      throw asked === 1 ? new RoomError("unavailable", "later", true) : new Error("no network");
    };
    const { all } = dialled({ token });
    await pass(100);
    expect([asked, all.length]).toEqual([3, 1]);
  });
});

describe("what is said of a token", () => {
  const secret = "eyJhbGciOi.secret.signature";

  /** As platforms say it of a header that they do not take. */
  const quoting: Fetch = (_, { headers: { authorization = "" } }) =>
    Promise.reject(new TypeError(`"${authorization}" is an invalid header value.`));

  it.each([`${secret}\n`, `${secret}\n(copy)`, `<html> ${secret}`, "a/b+c=="])(
    "T6: C12: the token %j travels as a valid subprotocol, and is nowhere in what the client says",
    async (token) => {
      const { all, log, line, client } = dialled({
        token: () => token,
        fetch: quoting,
      });
      await pass(0);
      const [, sent = ""] = all[0]?.protocols ?? [];
      expect(sent).toMatch(/^[\w!#$%&'*+.^`|~-]+$/);
      expect(tokenIn([sent])).toBe(token);
      line().welcome({ expires: Date.now() + 2_000 }, snapshot);
      await pass(1_500);
      expect(log.at(-1)).toMatch(/^error token_expired/);
      client.close();
      expect(JSON.stringify([log, client.state])).not.toContain("secret");
    },
  );

  it("C12: what a WebSocket class throws is not quoted, and is tried again later", async () => {
    class Strict extends Line {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        throw new SyntaxError(`The subprotocol '${protocols.join()}' is invalid.`);
      }
    }
    const { log } = dialled({ token: () => secret, WebSocket: Strict });
    await pass(5);
    expect(log).toEqual(["connecting", "reconnecting 10 no WebSocket: SyntaxError"]);
  });
});

describe("a clock that is wrong", () => {
  it.each([
    ["an hour behind", -3_600_000],
    ["70 minutes ahead", 4_200_000],
    ["right", 0],
  ])("C12: a client whose clock is %s replaces its token in place, in time", async (_, skew) => {
    const posts: number[] = [];
    const start = Date.now();
    const fetch: Fetch = () => {
      posts.push(Date.now() - start);
      return Promise.resolve({ ok: true, status: 200, json: async () => ({ expires: Date.now() + 3_600_000 }) });
    };
    const { line, all } = dialled({ fetch, random: () => 0, now: () => Date.now() + skew });
    await pass(0);
    line().welcome({ expires: start + 3_600_000, now: start }, snapshot);
    const answering = setInterval(() => all[0]?.pongs(), 5_000);
    await pass(7_200_000);
    clearInterval(answering);
    expect(posts).toEqual([3_540_000, 7_080_000]);
  });
});
