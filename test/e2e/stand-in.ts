/**
 * A stand-in for the HTTP API of a deployment with more rooms than a test can fill: what the command asks is answered as
 * the API would, after a while, and every request is written down. Rooms reopen after a drain and are full again at once.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../support/port.ts";

/** One room of it. */
export interface StandInRoom {
  readonly name: string;
  readonly dead?: number;
  /** How it answers. `absent`: nothing has ever happened in it. Default: as it should. */
  readonly mood?: "broken" | "absent" | "stays";
}

interface Drain {
  readonly until: number;
  readonly reopens: number;
}

/** The API. */
export class StandIn {
  readonly asked: string[] = [];
  url = "";
  /** How long a room takes to answer, in ms, when so many requests came before. */
  latencyOf: (requests: number) => number = () => 0;
  /** The second page of a list is of a part that did not answer. */
  isIncomplete = false;
  /** How many requests it refuses as too many, from now on. */
  #limit = 0;
  readonly #rooms: readonly StandInRoom[];
  readonly #drains = new Map<string, Drain>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  constructor(rooms: readonly StandInRoom[]) {
    this.#rooms = rooms;
  }

  async open(): Promise<this> {
    const port = await freePort();
    await once(this.#server.listen(port, "127.0.0.1"), "listening");
    this.url = `http://127.0.0.1:${port}`;
    return this;
  }

  refuse(requests: number): void {
    this.#limit = requests;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await once(this.#server.close(), "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const json = (value: object, status = 200) => {
      const type = status < 400 ? "application/json" : "application/problem+json";
      response.writeHead(status, { "content-type": type }).end(JSON.stringify(value));
    };
    if (url.pathname === "/rooms") return json(this.#page(url.searchParams));
    const [, , , name = "", what = ""] = url.pathname.split("/");
    this.asked.push(`${what} ${name}`);
    await sleep(this.latencyOf(this.asked.length));
    const room = this.#rooms.find((known) => known.name === name);
    if (this.#limit > 0 && this.#limit-- > 0) {
      response.setHeader("retry-after", "0");
      return json({ title: "Too many.", status: 429, code: "rate_limited" }, 429);
    }
    if (room?.mood === "broken") return json({ title: "Failed.", status: 500, code: "internal" }, 500);
    if (!room || room.mood === "absent") return json({ title: "Nothing.", status: 404, code: "not_found" }, 404);
    if (what === "redeliver") return json({ pending: 1, redelivered: room.dead ?? 0 });
    const { within, reopenAfter } = JSON.parse(body) as { within: number; reopenAfter: number };
    const until = Date.now() + within;
    const drain = { until, reopens: until + reopenAfter };
    this.#drains.set(name, drain);
    json({ ...drain, connections: 2 });
  }

  #page(query: URLSearchParams): object {
    if (query.get("cursor") !== null) return { rooms: [], ...(this.isIncomplete && { incomplete: [7] }) };
    const now = Date.now();
    const isDead = query.get("dead") === "1";
    const listed = this.#rooms.flatMap(({ name, dead, mood }) => {
      const drain = this.#drains.get(name);
      const isOut = drain && now >= drain.until && now < drain.reopens && mood !== "stays";
      if (isDead ? dead === undefined : isOut) return [];
      const at = drain && now >= drain.reopens && mood !== "stays" ? drain.reopens + 1 : 1;
      const room = { kind: "chat", room: name, connections: 2, members: 2, sessions: 2, offset: 1, at };
      return [{ ...room, ...(dead !== undefined && { dead }) }];
    });
    return { rooms: listed, next: "MS4x" };
  }
}
