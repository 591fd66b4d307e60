/** The published client in a tested room, inside the runtime: with sockets that a test listens to, cuts and mutes. */
import { exports } from "cloudflare:workers";
import { expect, onTestFinished } from "vitest";
import { connect, type ConnectOptions, type Json, type RoomClient } from "../../src/client/client.ts";
import { sign } from "./client.ts";
import { eventually } from "./patience.ts";
import type { TestedRoom } from "./room.ts";
import { WorkerSocket } from "./worker-socket.ts";

/** Waits until a client is in its room. */
export const isOpen = (client: RoomClient) => eventually(() => expect(client.state.name).toBe("open"));

/** A class of sockets that belong to one client. */
function tap() {
  return class Tap extends WorkerSocket {
    static last: Tap;
    static readonly urls: string[] = [];
    /** Messages of the client, without pings. */
    static readonly sent: string[] = [];
    /** Which messages of the room the client does not get. */
    static drops: (data: string) => boolean = () => false;
    /** A line that died without a word: nothing is heard any more, nothing arrives. */
    isDead = false;

    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      Tap.last = this;
      Tap.urls.push(url);
    }
    override send(data: string): void {
      if (data !== "ping") Tap.sent.push(data);
      if (!this.isDead) super.send(data);
    }
    override addEventListener(type: string, listener: (event: { data?: unknown }) => void): void {
      super.addEventListener(type, (event) => {
        if (type !== "message" || !(this.isDead || Tap.drops(String(event.data)))) listener(event);
      });
    }
  };
}

/** Joins as a program would, and notes what the client is told. It is closed when the test ends. */
export function join(room: TestedRoom, user: string, options: Partial<ConnectOptions> = {}) {
  const Tap = tap();
  const client = connect("http://edge.test", {
    room: room.path,
    token: () => sign(user),
    WebSocket: Tap,
    fetch: (url, init) => exports.default.fetch(url, init),
    random: () => 0.01,
    ...options,
  });
  onTestFinished(() => client.close());
  const log: string[] = [];
  const items: Json[] = [];
  client.on("publication", ({ data }) => items.push(data));
  client.on("resumed", ({ offset }) => log.push(`resumed at ${offset}`));
  client.on("reset", ({ reason, offset }) => log.push(`reset ${reason} at ${offset}`));
  client.on("error", ({ code }) => log.push(`error ${code}`));
  client.on("goaway", ({ within }) => log.push(`goaway ${within}`));
  const states: string[] = [];
  client.on("state", (state) => {
    const delay = "delay" in state ? ` ${state.delay}` : "";
    states.push(`${state.name}${delay}${"reason" in state ? ` ${state.reason}` : ""}`);
  });
  return { client, Tap, log, items, states };
}
