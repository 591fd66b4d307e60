/** Tokens in a cookie: only where the deployer names it, and only for pages that may connect. */
import { expect, it } from "vitest";
import { connect } from "../../src/client/client.ts";
import { jwt } from "../../src/http/gate/auth.ts";
import { sign } from "../support/client.ts";
import { door, enter, expectProblem, expectRefused } from "../support/door.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { WorkerSocket } from "../support/worker-socket.ts";

const ORIGIN = "https://app.example.com";
const path = () => `/rooms/${new TestedRoom().path}`;
const at = door({ auth: jwt({ cookie: "session" }), origins: [ORIGIN] });
const withCookie = async (headers: Record<string, string> = {}) => ({
  token: null,
  headers: { cookie: `theme=dark; session=${await sign("ann")}; other=1`, ...headers },
});

it("T7: lets in a page of an allowed origin without any other token", async () => {
  for (const origin of [ORIGIN, "http://edge.test"]) {
    const { welcome } = await enter(at, path(), await withCookie({ origin }));
    expect(welcome.member).toBe("ann");
  }
  const { welcome } = await enter(at, path(), await withCookie({ "sec-fetch-site": "same-origin" }));
  expect(welcome.member).toBe("ann");
});

it("T7: counts where the client offers an empty token, as it does when it was given none", async () => {
  const { headers } = await withCookie({ origin: ORIGIN, "sec-websocket-protocol": "edgerooms.v1, bearer." });
  expect((await enter(at, path(), { token: null, headers })).welcome.member).toBe("ann");
  const open = door({ auth: jwt({ cookie: "session", tokenInUrl: true }), origins: [ORIGIN] });
  const asked = `${path()}?token=`;
  expect((await enter(open, asked, await withCookie({ origin: ORIGIN }))).welcome.member).toBe("ann");
  const inUrl = `${path()}?token=${await sign("bob")}`;
  expect((await enter(open, inUrl, { token: null, headers })).welcome.member, "nor do others").toBe("bob");
});

it("T7: is worth nothing to another page, or where nothing says which page asks", async () => {
  await expectRefused(at, path(), await withCookie({ origin: "https://evil.test" }), "forbidden");
  await expectRefused(at, path(), await withCookie({ origin: "null" }), "forbidden");
  await expectRefused(at, path(), await withCookie(), "unauthorized");
  for (const site of ["cross-site", "same-site", "none"]) {
    await expectRefused(at, path(), await withCookie({ "sec-fetch-site": site }), "unauthorized");
  }
});

it("T7: counts only under its name, only where it is named, and after every other token", async () => {
  await expectRefused(door({ origins: [ORIGIN] }), path(), await withCookie({ origin: ORIGIN }), "unauthorized");
  const other = { token: null, headers: { cookie: `sessions=${await sign("ann")}`, origin: ORIGIN } };
  await expectRefused(at, path(), other, "unauthorized");
  const both = { ...(await withCookie({ origin: ORIGIN })), token: await sign("bob") };
  expect((await enter(at, path(), both)).welcome.member).toBe("bob");
});

it("T7: renews a session from another origin, whose page may send cookies along", async () => {
  const room = new TestedRoom();
  const { headers } = await withCookie({ origin: ORIGIN });
  const { welcome } = await enter(at, `/rooms/${room.path}`, { token: null, headers });
  const url = `http://edge.test/rooms/${room.path}/session`;
  const post = (more: Record<string, string>) =>
    at(new Request(url, { method: "POST", headers: more, body: JSON.stringify({ session: welcome.session }) }));
  const response = await post(headers);
  expect(response.status).toBe(200);
  expect(response.headers.get("access-control-allow-origin")).toBe(ORIGIN);
  expect(response.headers.get("access-control-allow-credentials")).toBe("true");
  await response.body?.cancel();
  await expectProblem(await post({ ...headers, origin: "https://evil.test" }), "forbidden");
});

it("T7: our client without a token is let in by it, and renews its session with it", async () => {
  const room = new TestedRoom();
  // For the room the token is about to end, for the Worker it has an hour left: however slow this machine, it is still good.
  room.stopClock(Date.now() + 3_599_000);
  const cookie = { cookie: `session=${await sign("ann", {}, "1h")}`, origin: ORIGIN };
  class WithCookie extends WorkerSocket {
    protected override knock(url: string, headers: Record<string, string>) {
      return at(new Request(url, { headers: { ...headers, ...cookie } }));
    }
  }
  const renewals: number[] = [];
  const client = connect("http://edge.test", {
    room: room.path,
    WebSocket: WithCookie,
    random: () => 0.999,
    // What a browser does with `credentials`.
    fetch: async (url, { credentials, headers, ...init }) => {
      const sent = credentials === "include" ? { ...headers, ...cookie } : headers;
      const response = await at(new Request(url, { ...init, headers: sent }));
      renewals.push(response.status);
      return response;
    },
  });
  await client.ready;
  expect([client.me, (await client.publish("hello")).offset]).toEqual(["ann", 1]);
  await eventually(() => expect(renewals[0]).toBe(200));
  client.leave();
});

it("T7: an Authenticator sees the request", async () => {
  const expires = Date.now() + 60_000;
  const seen: string[] = [];
  const auth = {
    tokenInUrl: false,
    verify: async (_token: string | undefined, _env: object, request: Request) => {
      seen.push(request.headers.get("x-key") ?? "");
      return Promise.resolve({ user: "ann", issued: 0, expires, claims: {} });
    },
  };
  await enter(door({ auth }), path(), { token: null, headers: { "x-key": "k" } });
  expect(seen).toEqual(["k"]);
});
