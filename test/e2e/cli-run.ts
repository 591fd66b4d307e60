/** The command `edgerooms` as people run it, a server to run it against, and a network in between that loses things. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { Json } from "../../src/protocol/frames.ts";
import { freePort } from "../support/port.ts";
import { Peer } from "./peer.ts";
import { Server } from "./server.ts";

/** The repository: where .dev.vars is. */
export const root = join(import.meta.dirname, "../..");

/** What became of a command. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** How to run it. */
export interface How {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
  /** Program and first arguments. Default: the sources. */
  readonly command?: readonly [string, ...string[]];
}

/** A command that runs. */
export class Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  out = "";
  err = "";

  constructor(args: readonly string[], { env = {}, input, cwd = root, command }: How = {}) {
    const [program, ...first] = command ?? [process.execPath, join(root, "src/cli/main.ts")];
    const clean = { EDGEROOMS_URL: "", EDGEROOMS_TOKEN: "", AUTH_SECRET: "", COLUMNS: "" };
    const child = spawn(program, [...first, ...args], { cwd, env: { ...process.env, ...clean, ...env } });
    this.process = child;
    child.stdout.setEncoding("utf8").on("data", (text: string) => (this.out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (this.err += text));
    child.stdin.end(input);
    this.ended = once(child, "close").then(([code]) => ({ code: code as number | null, out: this.out, err: this.err }));
  }
}

/** Runs a command to its end. */
export async function run(args: readonly string[], how?: How): Promise<Ended> {
  return new Running(args, how).ended;
}

/** What happens to a request on its way: the answer is lost, or is another. */
export type Mishap =
  "lost" | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/** A way to a server on which the next requests meet mishaps, one each; those after them pass. */
export class Way {
  readonly #server = createServer((incoming, outgoing) => void this.#pass(incoming, outgoing));
  readonly #target: string;
  readonly mishaps: Mishap[] = [];
  requests = 0;
  url = "";

  constructor(target: string) {
    this.#target = target;
  }

  async open(given?: number): Promise<this> {
    const port = given ?? (await freePort());
    await once(this.#server.listen(port, "127.0.0.1"), "listening");
    this.url = `http://127.0.0.1:${port}`;
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server.close(), "close");
  }

  async #pass(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    this.requests++;
    const mishap = this.mishaps.shift();
    if (typeof mishap === "object") {
      incoming.resume();
      outgoing.writeHead(mishap.status, mishap.headers).end(mishap.body);
      return;
    }
    const { method, headers, url } = incoming;
    const onward = request(new URL(url ?? "/", this.#target).href, { method: method ?? "GET", headers });
    incoming.pipe(onward);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    if (mishap === "lost") incoming.socket.destroy();
    else outgoing.writeHead(answer.statusCode ?? 502, answer.headers).end(Buffer.concat(chunks));
  }
}

/** What the API says of a log. */
export interface Log {
  readonly offset: number;
  readonly oldest: number;
  readonly items: readonly { readonly offset: number; readonly by: string | null; readonly data: Json }[];
}

/** A real server, its operator with the command line, and who else is about. */
export class Scene {
  readonly server = new Server();
  readonly #peers: Peer[] = [];
  readonly #ways: Way[] = [];
  /** A token with every grant everywhere. */
  admin = "";

  async start(): Promise<void> {
    await this.server.start();
    this.admin = (await run(["token", "op", "--admin"])).out.trim();
  }

  /** Runs a command as the operator of all rooms. */
  async op(args: readonly string[], how: How = {}): Promise<Ended> {
    return run(args, { ...how, env: { EDGEROOMS_URL: this.server.url, EDGEROOMS_TOKEN: this.admin, ...how.env } });
  }

  /** What a command that has to succeed says with --json. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, out, err } = await this.op([...args, "--json"]);
    if (code !== 0 || err !== "") throw new Error(`edgerooms ${args.join(" ")} ended with ${code}: ${err}`);
    return JSON.parse(out) as T;
  }

  /** The newest of a room's log, read without the command. */
  async log(room: string): Promise<Log> {
    const headers = { authorization: `Bearer ${this.admin}` };
    return (await fetch(`${this.server.url}/rooms/${room}/log`, { headers })).json<Log>();
  }

  /** Somebody connects. */
  async enter(room: string, user: string, name?: string): Promise<Peer & { readonly session: string }> {
    const { out } = await run(["token", user, ...(name === undefined ? [] : ["--name", name])]);
    const peer = new Peer(this.server.url, room, out.trim());
    this.#peers.push(peer);
    const { session } = await peer.next("welcome");
    return Object.assign(peer, { session });
  }

  /** A way to the server on which things get lost. */
  async badWay(port?: number): Promise<Way> {
    const way = await new Way(this.server.url).open(port);
    this.#ways.push(way);
    return way;
  }

  /** Everybody goes; the server stays. */
  async clear(): Promise<void> {
    for (const peer of this.#peers.splice(0)) peer.socket.terminate();
    for (const way of this.#ways.splice(0)) await way.close();
  }
}
