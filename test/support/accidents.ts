/** Provokes what nobody wants: hooks, disks, services and receivers that fail. */
import { expect } from "vitest";
import { jwt } from "../../src/http/gate/auth.ts";
import { upstream } from "../../src/ops/upstream.ts";
import { OutletRefused } from "../../src/room/outlet.ts";
import { SCHEMA_VERSION } from "../../src/room/store/schema.ts";
import { upgrade } from "./client.ts";
import { operator } from "./contract.ts";
import { door, expectBye, expectProblem, plain } from "./door.ts";
import { Issuer, makeKey, Site } from "./issuer.ts";
import { eventually } from "./patience.ts";
import { PAYLOAD, scene, join, expectError, refused, posted, here, hooked, broken, type Ways } from "./provoking.ts";
import { TestedRoom } from "./room.ts";
import { marked, watched } from "./watching.ts";

/** By code, every way to it. */
export const accidents: Ways = {
  hook_failed: {
    "in onJoin": async () => {
      const room = await hooked({ onJoin: broken });
      const { headers, ids } = marked();
      await expectBye(await upgrade(room.path, { headers }), "hook_failed");
      const line = { source: "onJoin", ...here(room), session: expect.any(String), ...ids };
      return { kind: "relay", errors: 1, lines: [line] };
    },
    "in onPublish": async () => {
      const { client, about } = await join(await hooked({ onPublish: broken }));
      client.send({ type: "publish", ref: 1, data: PAYLOAD });
      await expectError(client, "hook_failed");
      return { kind: "relay", errors: 1, lines: [{ source: "onPublish", ...about }] };
    },
    "in onPublish, over HTTP": async () => {
      const room = await hooked({ onPublish: broken });
      const { lines } = await posted(room, "publish", { data: PAYLOAD }, "hook_failed");
      return { kind: "relay", errors: 1, lines: lines.map((line) => ({ ...line, source: "onPublish" })) };
    },
    "in a method": async () => {
      const { client, about } = await join(await hooked({ methods: { fail: broken } }));
      client.send({ type: "call", ref: 1, method: "fail", data: PAYLOAD });
      await expectError(client, "hook_failed", "reply");
      return { kind: "relay", errors: 1, lines: [{ source: "methods.fail", ...about }] };
    },
    "in snapshot": async () => {
      const { client, about } = await join(await hooked({ snapshot: broken }));
      expect((await client.next("snapshot")).data).toBeNull();
      return { kind: "relay", errors: 1, lines: [{ source: "snapshot", ...about }] };
    },
    "in onLeave": async () => {
      const room = await hooked({ onLeave: broken });
      const { client } = await join(room);
      client.send({ type: "leave" });
      await client.next("bye");
      return { kind: "relay", errors: 1, lines: [{ source: "onLeave", ...here(room) }] };
    },
    "in onTimer": async () => {
      const remind = (room: { schedule(name: string, when: number): void; now: number }) => {
        room.schedule("t", room.now + 1_000);
        return null;
      };
      // Only once: the room tries again two seconds later, when another test watches the log.
      let tries = 0;
      const onTimer = () => void (tries++ === 0 && broken());
      const room = await hooked({ onTimer, methods: { remind } });
      room.stopClock();
      const { client } = await join(room);
      client.send({ type: "call", ref: 1, method: "remind", data: null });
      await client.next("reply");
      await room.pass(1_000);
      return { kind: "relay", errors: 1, lines: [{ source: "onTimer", kind: "relay", room: room.name }] };
    },
    "in deferred work": async () => {
      const room = await hooked({ onPublish: (context) => context.defer(() => Promise.reject(new Error("later"))) });
      const { client } = await join(room);
      await client.publish(1, PAYLOAD);
      await eventually(() => expect(scene.log.of("hook_failed")).toHaveLength(1));
      return { kind: "relay", errors: 1, lines: [{ source: "defer", kind: "relay", room: room.name }] };
    },
    "after deferred work": async () => {
      const room = await hooked({ onPublish: (context) => context.defer(() => Promise.resolve(1), broken) });
      const { client } = await join(room);
      await client.publish(1, PAYLOAD);
      await eventually(() => expect(scene.log.of("hook_failed")).toHaveLength(1));
      return { kind: "relay", errors: 1, lines: [{ source: "defer", kind: "relay", room: room.name }] };
    },
    "by asking for what cannot be": async () => {
      const room = await hooked({ onPublish: (context) => context.publish("x".repeat(1_200_000)) });
      const { client, about } = await join(room);
      client.send({ type: "publish", ref: 1, data: PAYLOAD });
      await expectError(client, "hook_failed");
      return { kind: "relay", errors: 1, lines: [{ source: "onPublish", ...about }] };
    },
  },
  storage_failed: {
    "in a tick": async () => {
      const room = new TestedRoom();
      const { client, about } = await join(room);
      await room.sql(`CREATE TRIGGER poison BEFORE INSERT ON edgerooms_log
        BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END`);
      client.send({ type: "publish", ref: 1, data: PAYLOAD });
      await expectError(client, "storage_failed");
      return { kind: "relay", errors: 1, lines: [{ source: "tick", ...about }] };
    },
    "before a tick, for a client that connects": async () => {
      const room = new TestedRoom();
      await join(room);
      await room.sql("UPDATE edgerooms_meta SET value = '99' WHERE key = 'schema'");
      await room.evict();
      const { headers, ids } = marked();
      await expectBye(await upgrade(room.path, { headers, user: "bob" }), "storage_failed");
      await room.sql("UPDATE edgerooms_meta SET value = ? WHERE key = 'schema'", String(SCHEMA_VERSION));
      // What cannot be read cannot say of what kind the room is.
      const line = { source: "tick", room: room.name, user: "bob", ...ids };
      return { kind: "relay", errors: 1, lines: [line] };
    },
    "before a tick, for a client that is connected": async () => {
      const room = new TestedRoom();
      const { client, welcome } = await join(room);
      const { client: other } = await join(room, { user: "bob" });
      await room.sql("UPDATE edgerooms_meta SET value = '99' WHERE key = 'schema'");
      await room.evict();
      client.send({ type: "signal", data: PAYLOAD });
      await client.until(() => client.closed !== undefined);
      expect(client.closed).toEqual({ code: 4107, reason: "storage_failed" });
      // Nor can it note that this one is gone.
      await eventually(() => expect(scene.log.of("storage_failed")).toHaveLength(2));
      await room.sql("UPDATE edgerooms_meta SET value = ? WHERE key = 'schema'", String(SCHEMA_VERSION));
      other.send({ type: "signal", data: PAYLOAD });
      const line = { room: room.name };
      const lines = [
        { source: "load", ...line },
        { source: "tick", session: welcome.session, ...line },
      ];
      return { kind: "relay", errors: 2, closes: 1, lines };
    },
  },
  undelivered: {
    "by an outlet that refuses for good": async () => {
      const room = await hooked({
        events: { types: ["publication"], to: () => Promise.reject(new OutletRefused("webhook answered 410")) },
      });
      const { client } = await join(room);
      await client.publish(1, PAYLOAD);
      await eventually(() => expect(scene.log.of("undelivered")).toHaveLength(1));
      const token = await operator();
      const request = new Request(`http://edge.test/rooms/${room.path}/dead-letters`, {
        headers: { authorization: `Bearer ${token}` },
      });
      expect(await (await watched(request)).json()).toMatchObject({ dead: [{ tries: 1, events: 1 }] });
      return { kind: "relay", errors: 1, lines: [{ source: "events", kind: "relay", room: room.name }] };
    },
  },
  internal: {
    "by authorize": async () => {
      const room = new TestedRoom();
      const at = door(
        { authorize: () => Promise.reject(new Error("secret-of-authorize")) },
        { ENVIRONMENT: "production" },
      );
      const provoked = await refused(at, `/rooms/${room.path}`, {}, "internal", here(room));
      const { detail } = await expectProblem(await plain(at, `/rooms/${room.path}`), "internal");
      expect(detail).toBeUndefined();
      scene.log.texts.pop();
      return { ...provoked, errors: 3 };
    },
    "by a room whose log says nonsense": async () => {
      const room = new TestedRoom();
      const { client } = await join(room);
      await client.publish(1, PAYLOAD);
      await room.sql("UPDATE edgerooms_log SET items = 'nonsense'");
      await room.evict();
      const { headers, ids } = marked();
      await expectBye(await upgrade(room.path, { user: "bob", headers }), "internal");
      return { kind: "relay", errors: 1, lines: [{ source: "tick", ...here(room, "bob"), ...ids }] };
    },
  },
  upstream_failed: {
    "by an issuer that answers 500": async () => {
      const issuer = new Issuer();
      issuer.answer = () => new Response("down", { status: 500 });
      const at = door({ auth: jwt({ jwksUrl: issuer.url }) });
      const { headers, ids } = marked();
      const token = await (await makeKey()).sign();
      await expectProblem(await plain(at, `/rooms/${new TestedRoom().path}`, { headers, token }), "upstream_failed");
      return { errors: 1, lines: [{ source: "GET /rooms/:kind/:room", kind: "relay", ...ids }] };
    },
    "by an outlet that throws": async () => {
      // Only once, as above.
      let tries = 0;
      const to = () => (tries++ === 0 ? Promise.reject(new Error("receiver is down")) : Promise.resolve());
      const room = await hooked({ events: { types: ["publication"], to } });
      const { client } = await join(room);
      await client.publish(1, PAYLOAD);
      await eventually(() => expect(scene.log.of("upstream_failed")).toHaveLength(1));
      return { kind: "relay", errors: 1, lines: [{ source: "events", kind: "relay", room: room.name }] };
    },
  },
  upstream_timeout: {
    "by a service that authorize asks": async () => {
      const site = new Site();
      site.answer = () => new Promise(() => {});
      const room = new TestedRoom();
      const asked = upstream(`hangs-${room.name}`, site.url);
      const at = door({ authorize: () => asked.request(site.url, {}, () => true) });
      const { headers, ids } = marked();
      const client = await expectBye(
        await plain(at, `/rooms/${room.path}`, { headers: { ...headers, "sec-websocket-protocol": "edgerooms.v1" } }),
        "upstream_timeout",
      );
      expect(client.of("bye")).toHaveLength(1);
      return { errors: 1, lines: [{ source: "GET /rooms/:kind/:room", ...here(room), ...ids }] };
    },
  },
};
