/** What leaves the Worker: time limit, second try, breaker; and that no request is ever stuck with another's. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { isolate } from "../../src/ops/isolate.ts";
import { breakerStates, upstream, UpstreamFailed, type UpstreamOptions } from "../../src/ops/upstream.ts";
import { heldDate } from "../support/clock.ts";
import { Site } from "../support/issuer.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";

const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const down = () => new Response("down", { status: 500 });
const hang = () => new Promise<Response>(() => {});
const pass = heldDate();

let made = 0;

/** Somebody asked through a breaker of its own. */
class Asked extends Site {
  readonly name = `asked-${++made}`;
  readonly upstream;

  constructor(options: UpstreamOptions = {}) {
    super();
    this.upstream = upstream(this.name, this.url, options);
  }

  /** What came of asking: the text of the answer, or the code of the failure. */
  async ask(): Promise<string> {
    return this.upstream
      .request(this.url, {}, (response) => response.text())
      .catch((error: unknown) => {
        if (error instanceof UpstreamFailed) return error.code;
        throw error;
      });
  }

  /** Asks in the context of a room's object. */
  async askIn(room: TestedRoom): Promise<string> {
    return runInDurableObject(room.stub, () => this.ask());
  }

  async failure(): Promise<UpstreamFailed> {
    const error: unknown = await this.upstream
      .request(this.url, {}, (response) => response.text())
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    if (!(error instanceof UpstreamFailed)) throw new Error("it did not fail");
    return error;
  }

  /** Fails until the breaker is open. */
  async open(): Promise<void> {
    this.answer = down;
    while (this.upstream.state === "closed") await this.failure();
  }

  counted(metric: string, label: string): number {
    return isolate.counts[`${metric}|${this.name}|${label}`] ?? 0;
  }

  protected override usual(): Response {
    return new Response("fine");
  }
}

it("what is asked arrives with its body, headers and trace; what is answered goes to the reader, redirects too", async () => {
  const asked = new Asked();
  const bodies: string[] = [];
  asked.answer = async (request) => {
    bodies.push(await request.text());
    return new Response(null, { status: 302, headers: { location: "https://elsewhere.test/" } });
  };
  const what = { method: "POST", headers: { "x-a": "b" }, body: "text", traceparent: TRACEPARENT } as const;
  expect(await asked.upstream.request(asked.url, what, ({ status }) => status)).toBe(302);
  expect(bodies).toEqual(["text"]);
  const [request] = asked.requests;
  expect([request?.method, request?.url, request?.redirect]).toEqual(["POST", asked.url, "manual"]);
  expect([request?.headers.get("x-a"), request?.headers.get("traceparent")]).toEqual(["b", TRACEPARENT]);
  expect(asked.counted("upstream_requests", "ok")).toBe(1);
});

describe("a second try", () => {
  const passing: Record<string, () => Response | Promise<Response>> = {
    "a 500": down,
    "a 503": () => new Response(null, { status: 503 }),
    "a 429": () => new Response(null, { status: 429 }),
    "a lost connection": () => Promise.reject(new Error("Network connection lost.")),
  };
  for (const [what, first] of Object.entries(passing)) {
    it(`follows ${what}`, async () => {
      const asked = new Asked();
      asked.answer = () => (asked.asked === 1 ? first() : new Response("better"));
      expect(await asked.ask()).toBe("better");
      const counted = ["failed", "ok"].map((result) => asked.counted("upstream_requests", result));
      expect(counted, "requests, not tries").toEqual([0, 1]);
    });
  }

  it("is the last", async () => {
    const asked = new Asked();
    asked.answer = down;
    const { code, message, retryAfter } = await asked.failure();
    expect([code, message, retryAfter]).toEqual(["upstream_failed", `${asked.name} answered 500`, undefined]);
    expect(asked.asked).toBe(2);
  });

  it("does not follow an answer that the reader has no use for, a timeout, or where nobody wants it", async () => {
    const nonsense = new Asked();
    const read = () => Promise.reject(new Error("no use"));
    await expect(nonsense.upstream.request(nonsense.url, {}, read)).rejects.toMatchObject({ code: "upstream_failed" });
    const late = new Asked({ timeout: 50 });
    late.answer = hang;
    expect((await late.failure()).message).toBe(`${late.name} did not answer in 50 ms`);
    const once = new Asked({ retry: false });
    once.answer = down;
    expect(await once.ask()).toBe("upstream_failed");
    expect([nonsense.asked, late.asked, once.asked]).toEqual([1, 1, 1]);
  });

  it("is not made once the breaker is open", async () => {
    const asked = new Asked();
    expect(await asked.ask()).toBe("fine");
    expect(await asked.ask()).toBe("fine");
    asked.answer = down;
    expect(await asked.ask()).toBe("upstream_failed");
    expect(asked.asked, "two of four failed").toBe(4);
    pass(1_000);
    expect(await asked.ask()).toBe("upstream_failed");
    expect(asked.asked, "the probe").toBe(5);
  });
});

describe("the time limit", () => {
  it("ends a try whose answer does not come, and tells the connection", async () => {
    const asked = new Asked({ timeout: 50 });
    asked.answer = hang;
    expect(await asked.ask()).toBe("upstream_timeout");
    expect(asked.requests[0]?.signal.aborted).toBe(true);
    expect(asked.counted("upstream_requests", "timeout")).toBe(1);
  });

  it("ends a try whose answer begins and does not end", async () => {
    const asked = new Asked({ timeout: 50 });
    asked.answer = () => new Response(new TransformStream().readable);
    expect(await asked.ask()).toBe("upstream_timeout");
  });
});

describe("the breaker", () => {
  it("opens at half, stays open for a second, lets one through, and closes on its success", async () => {
    const asked = new Asked({ retry: false });
    for (const answer of [undefined, undefined, down]) {
      asked.answer = answer;
      await asked.ask();
    }
    expect(asked.upstream.state, "one of three").toBe("closed");
    await asked.ask();
    expect(asked.upstream.state, "two of four").toBe("open");
    for (const left of [1_000, 1]) {
      expect(await asked.failure()).toMatchObject({ code: "unavailable", retryAfter: left });
      pass(left === 1_000 ? 999 : 1);
    }
    expect(asked.asked).toBe(4);
    expect(await asked.ask(), "the probe").toBe("upstream_failed");
    expect(await asked.ask()).toBe("unavailable");
    pass(1_000);
    asked.answer = undefined;
    expect(await asked.ask()).toBe("fine");
    expect(await asked.ask()).toBe("fine");
    const seen = ["open", "half_open", "closed"].map((state) => asked.counted("breaker_transitions", state));
    expect(seen).toEqual([2, 2, 1]);
    const results = ["ok", "failed", "rejected"].map((result) => asked.counted("upstream_requests", result));
    expect(results).toEqual([4, 3, 3]);
  });

  it("opens for timeouts and nonsense as for refusals", async () => {
    const late = new Asked({ timeout: 20 });
    late.answer = hang;
    expect(await Promise.all([late.ask(), late.ask(), late.ask()])).toEqual(Array(3).fill("upstream_timeout"));
    expect(late.upstream.state).toBe("open");
    const nonsense = new Asked();
    const read = () => Promise.reject(new Error("no use"));
    for (let i = 0; i < 3; i++) await nonsense.upstream.request(nonsense.url, {}, read).catch(() => undefined);
    expect(nonsense.upstream.state).toBe("open");
  });

  it("is one per name and origin, and says its state by name, the worst of several", async () => {
    const [first, other] = [new Asked(), new Asked()];
    expect(upstream(first.name, `${first.url}/elsewhere?there`)).toBe(first.upstream);
    const second = upstream(first.name, other.url);
    expect(second).not.toBe(first.upstream);
    const states = () => breakerStates().filter(({ name }) => name === first.name);
    expect(states()).toEqual([{ name: first.name, state: "closed" }]);
    await first.open();
    expect(states()).toEqual([{ name: first.name, state: "open" }]);
    pass(1_000);
    first.answer = hang;
    void first.ask();
    expect(states()).toEqual([{ name: first.name, state: "half_open" }]);
    expect(await second.request(other.url, {}, (response) => response.text())).toBe("fine");
  });
});

describe("of two objects in one isolate", () => {
  it("the one that comes during the other's probe is told at once to come later", async () => {
    const asked = new Asked();
    await asked.open();
    pass(1_000);
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    // Made in the object's own context: it could not read a response of the test's.
    asked.answer = () => held.then(() => new Response("back"));
    const before = asked.asked;
    const probe = asked.askIn(new TestedRoom());
    await eventually(() => expect(asked.asked).toBe(before + 1));
    expect(await asked.askIn(new TestedRoom())).toBe("unavailable");
    expect(await asked.failure()).toMatchObject({ retryAfter: 1_000 });
    release();
    expect(await probe).toBe("back");
    asked.answer = undefined;
    expect(await asked.askIn(new TestedRoom())).toBe("fine");
    expect(asked.asked).toBe(before + 2);
  });

  it("the one that was killed during its probe leaves the next probe to others once it would have ended", async () => {
    const asked = new Asked();
    await asked.open();
    pass(1_000);
    asked.answer = hang;
    const killed = new TestedRoom();
    const before = asked.asked;
    let ended = false;
    void asked.askIn(killed).then(
      () => (ended = true),
      () => undefined,
    );
    await eventually(() => expect(asked.asked).toBe(before + 1));
    await killed.abort();
    asked.answer = undefined;
    pass(5_000);
    expect(await asked.askIn(new TestedRoom())).toBe("unavailable");
    pass(500);
    expect(await asked.askIn(new TestedRoom())).toBe("fine");
    expect([asked.upstream.state, ended]).toEqual(["closed", false]);
    expect(await asked.askIn(killed)).toBe("fine");
  });
});
