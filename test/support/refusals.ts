/** Provokes what refuses a request: at the gate, by a room, by a body. */
import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { defineRoom } from "../../src/server.ts";
import { sign, upgrade } from "./client.ts";
import { door, expectBye, expectProblem, plain } from "./door.ts";
import { PAYLOAD, join, expectError, expectGone, refused, posted, post, here, type Ways } from "./provoking.ts";
import { TestedRoom } from "./room.ts";
import { marked, watched } from "./watching.ts";

/** By code, every way to it. */
export const refusals: Ways = {
  unauthorized: {
    "without a token": async () => {
      const room = new TestedRoom();
      return refused(watched, `/rooms/${room.path}`, { token: null }, "unauthorized", { kind: "relay" });
    },
  },
  forbidden: {
    "without a grant": async () => {
      const room = new TestedRoom();
      const token = await sign("ann", { rooms: {} });
      return refused(watched, `/rooms/${room.path}`, { token }, "forbidden", here(room));
    },
    "by a frame that the token does not allow": async () => {
      const room = new TestedRoom();
      const { client, about } = await join(room, { claims: { rooms: { "*": ["join"] } } });
      client.send({ type: "publish", ref: 1, data: PAYLOAD });
      await expectError(client, "forbidden");
      return { kind: "relay", errors: 1, lines: [{ source: "publish", ...about }] };
    },
  },
  not_found: { "at no kind of room": async () => refused(watched, "/rooms/none/r", {}, "not_found") },
  wrong_protocol: {
    "without our subprotocol": async () => {
      const room = new TestedRoom();
      const { headers, ids } = marked();
      await expectProblem(await plain(watched, `/rooms/${room.path}`, { headers }), "wrong_protocol");
      return { errors: 1, lines: [{ source: "GET /rooms/:kind/:room", ...here(room), ...ids }] };
    },
  },
  bad_room: { "with a blank in a name": async () => refused(watched, "/rooms/relay/bad%20name", {}, "bad_room") },
  bad_resume: { "with half a position": async () => refused(watched, "/rooms/relay/r?epoch=e", {}, "bad_resume") },
  token_expired: {
    "before the upgrade": async () => {
      const token = await sign("ann", {}, Math.floor(Date.now() / 1_000) - 60);
      return { ...(await refused(watched, "/rooms/relay/r", { token }, "token_expired")), lines: [] };
    },
    "on a connection": async () => {
      const room = new TestedRoom();
      room.stopClock();
      const { client } = await join(room, { ttl: "5s" });
      await room.pass(16_000);
      await expectGone(client, "token_expired");
      return { kind: "relay", errors: 0, closes: 1, lines: [] };
    },
  },
  token_early: {
    "issued a little ahead of our clock": async () => {
      const token = await sign("ann", { iat: Math.floor(Date.now() / 1_000) + 40 });
      return refused(watched, "/rooms/relay/r", { token }, "token_early", { kind: "relay" });
    },
  },
  misconfigured: {
    "without a secret": async () =>
      refused(door({}, { AUTH_SECRET: "" }), "/rooms/relay/r", {}, "misconfigured", { kind: "relay" }),
  },
  unavailable: {
    "by an Authenticator that says so": async () => {
      const auth = { tokenInUrl: false, verify: async () => Promise.resolve({ code: "unavailable" } as const) };
      return refused(door({ auth }), "/rooms/relay/r", {}, "unavailable", { kind: "relay" });
    },
  },
  bad_request: { "with nonsense": () => posted(new TestedRoom(), "drain", "{", "bad_request") },
  key_reused: {
    "for something else": async () => {
      const room = new TestedRoom();
      const headers = { "idempotency-key": "once" };
      expect((await post(room, "publish", { data: PAYLOAD }, headers)).status).toBe(201);
      return posted(room, "publish", { data: "other" }, "key_reused", headers);
    },
  },
  revoked: {
    "on a connection": async () => {
      const room = new TestedRoom();
      const { client, about } = await join(room);
      await room.stub.revoke("ann");
      await expectGone(client, "revoked");
      return { kind: "relay", errors: 1, closes: 1, lines: [{ source: "connection", ...about }] };
    },
    "before the upgrade": async () => {
      const room = new TestedRoom();
      await room.stub.revoke("ann");
      const token = await sign("ann", { iat: Math.floor(Date.now() / 1_000) - 60 });
      const { headers, ids } = marked();
      await expectBye(await upgrade(room.path, { token, headers }), "revoked");
      return { errors: 1, lines: [{ source: "GET /rooms/:kind/:room", ...here(room), ...ids }] };
    },
  },
  room_full: {
    "by one too many": async () => {
      const room = new TestedRoom("chat");
      for (const user of ["a", "b", "c", "d"]) await join(room, { user });
      const { headers, ids } = marked();
      await expectBye(await upgrade(room.path, { headers }), "room_full");
      return { errors: 1, lines: [{ source: "GET /rooms/:kind/:room", ...here(room), ...ids }] };
    },
  },
  draining: {
    "while a room drains": async () => {
      const room = new TestedRoom();
      await join(room);
      await room.stub.drain("20s");
      await expectBye(await upgrade(room.path, { user: "bob" }), "draining");
      return { errors: 1, lines: [] };
    },
  },
  unknown_session: {
    "to kick": () => posted(new TestedRoom(), "kick", { session: "none" }, "unknown_session"),
  },
  too_large: {
    "over HTTP": () => posted(new TestedRoom("small"), "publish", { data: "x".repeat(2_048) }, "too_large"),
    "by a frame": async () => {
      const room = new TestedRoom("small");
      const { client, about } = await join(room);
      client.send({ type: "publish", ref: 1, data: PAYLOAD.repeat(300) });
      await expectGone(client, "too_large");
      return { kind: "small", errors: 1, closes: 1, lines: [{ source: "connection", ...about }] };
    },
  },
  restarting: {
    "by a drain's deadline": async () => {
      const room = new TestedRoom();
      room.stopClock();
      const { client } = await join(room);
      await room.stub.drain("10s");
      await room.pass(10_000);
      await expectGone(client, "restarting");
      return { kind: "relay", errors: 0, closes: 1, lines: [] };
    },
    "by a reset of the object that is asked": async () => {
      const room = new TestedRoom();
      await runInDurableObject(room.stub, (object, state) => {
        const onJoin = () => state.abort("Instance dispose: killed by a test");
        Object.assign(object, { definition: defineRoom({ onJoin }) });
      });
      await expectBye(await upgrade(room.path), "restarting");
      return { errors: 1, lines: [] };
    },
  },
};
