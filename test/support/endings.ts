/** Provokes what answers a frame or ends a connection. */
import { expect } from "vitest";
import { BACKLOG_BYTES } from "../../src/room/rules/backlog.ts";
import { Client, upgrade } from "./client.ts";
import { PAYLOAD, scene, join, expectError, expectGone, here, post, frame, type Ways } from "./provoking.ts";
import { TestedRoom } from "./room.ts";
import { marked } from "./watching.ts";

/** By code, every way to it. */
export const endings: Ways = {
  rate_limited: {
    "by a frame": async () => {
      const room = new TestedRoom();
      room.stopClock();
      const { client, about } = await join(room);
      client.send(...Array.from({ length: 101 }, () => ({ type: "signal", data: PAYLOAD }) as const));
      await expectError(client, "rate_limited");
      return { kind: "relay", errors: 1, lines: [{ source: "signal", ...about }] };
    },
    "by going on": async () => {
      const room = new TestedRoom();
      room.stopClock();
      const { client, about } = await join(room);
      client.send(...Array.from({ length: 201 }, () => ({ type: "signal", data: PAYLOAD }) as const));
      await expectGone(client, "rate_limited");
      const lines = Array.from({ length: 100 }, () => ({ source: "signal", ...about }));
      return { kind: "relay", errors: 101, closes: 1, lines: [...lines, { source: "connection", ...about }] };
    },
  },
  rejected: {
    "by onPublish": async () => {
      const send = (client: Client) => client.send({ type: "publish", ref: 1, data: "reject" });
      return { ...(await frame("rejected", send, "publish", { kind: "chat" })), lines: [] };
    },
  },
  done: {
    "by a leave": async () => {
      const { client } = await join(new TestedRoom());
      client.send({ type: "leave" });
      await expectGone(client, "done");
      return { kind: "relay", errors: 0, closes: 1, lines: [] };
    },
  },
  kicked: {
    "by an operator": async () => {
      const room = new TestedRoom();
      const { client } = await join(room);
      expect((await post(room, "kick", { user: "ann" })).status).toBe(200);
      await expectGone(client, "kicked");
      return { kind: "relay", errors: 0, closes: 1, lines: [] };
    },
  },
  replaced: {
    "by the same session": async () => {
      const room = new TestedRoom();
      const { client, welcome } = await join(room);
      await join(room, { session: welcome.session });
      await expectGone(client, "replaced");
      return { kind: "relay", errors: 0, closes: 1, lines: [] };
    },
  },
  heartbeat_lost: {
    "by silence": async () => {
      const { client } = await join(new TestedRoom("heartbeat"));
      client.silent = true;
      await expectGone(client, "heartbeat_lost");
      return { kind: "heartbeat", errors: 0, closes: 1, lines: [] };
    },
  },
  slow: {
    "by not reading": async () => {
      const room = new TestedRoom("fast");
      const { client: ann } = await join(room);
      const { headers, ids } = marked();
      const stalled = await upgrade(room.path, { user: "bob", headers });
      const data = "x".repeat(60_000);
      const rounds = Math.ceil((2 * BACKLOG_BYTES) / data.length);
      for (let ref = 1; ref <= rounds && scene.log.of("slow").length === 0; ref++) await ann.publish(ref, data);
      const client = new Client(stalled.webSocket as WebSocket);
      scene.open.push(client);
      const { session } = await client.next("welcome");
      await expectGone(client, "slow");
      const line = { source: "connection", ...here(room, "bob"), session, ...ids };
      return { kind: "fast", errors: 1, closes: 1, lines: [line] };
    },
  },
  stale_ref: {
    "by a ref from before": async () => {
      const { client, about } = await join(new TestedRoom());
      await client.publish(5, PAYLOAD);
      client.send({ type: "publish", ref: 4, data: PAYLOAD });
      await expectError(client, "stale_ref");
      return { kind: "relay", errors: 1, lines: [{ source: "publish", ...about }] };
    },
  },
  unknown_method: {
    "by a call": () => {
      const send = (client: Client) => client.send({ type: "call", ref: 1, method: "none", data: PAYLOAD });
      return frame("unknown_method", send, "call", { reply: true });
    },
  },
  bad_frame: {
    "by nonsense": () => frame("bad_frame", (client) => client.socket.send(`{"${PAYLOAD}`), "malformed"),
    "by an ack ahead of everything": () =>
      frame("bad_frame", (client) => client.send({ type: "ack", offset: 1_000 }), "ack"),
  },
};
