/** One workerd process with the Worker of this folder, and the members that come and go: all of it ends with `close`. */
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { WebSocket } from "ws";
import { Proxy } from "../serve/proxy.ts";
import { Workerd } from "../serve/workerd.ts";
import { freePort } from "../support/port.ts";
import { eventually } from "../support/patience.ts";
import { Member, type Resume } from "./member.ts";
import type { Seen } from "./rhythms.ts";

const SECRET = "a secret of this test that is long enough";

// What workerd.ts removes when the process ends, it removes then too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1));

/** How a member connects. */
export interface Joining {
  readonly resume?: Resume;
  readonly credit?: boolean;
}

export class World {
  readonly workerd: Workerd;
  readonly #inspector: number;
  readonly #proxies: Proxy[] = [];
  readonly #members: Member[] = [];

  private constructor(inspector: number) {
    this.#inspector = inspector;
    this.workerd = new Workerd({
      entry: join(import.meta.dirname, "worker.ts"),
      objects: { QUICK: "Quick", IDLING: "Idling", STEADY: "Steady", ASLEEP: "Asleep", LOG: "Log" },
      vars: { AUTH_SECRET: SECRET },
      args: ["--inspector-addr", `127.0.0.1:${inspector}`],
    });
  }

  static async open(): Promise<World> {
    const world = new World(await freePort());
    await world.workerd.start();
    return world;
  }

  /** A member in a room, through a network of its own that can fail. */
  async join(room: string, user: string, { resume, credit = false }: Joining = {}): Promise<Member> {
    const links: Member["link"][] = [];
    const proxy = new Proxy(
      () => this.workerd.port,
      (link) => links.push(link),
    );
    await proxy.start();
    this.#proxies.push(proxy);
    const url = new URL(`/rooms/${room}`, `ws://127.0.0.1:${proxy.port}`);
    if (credit) url.searchParams.set("credit", "1");
    const member = new Member(user, url, await tokenOf(user), resume);
    this.#members.push(member);
    await member.until(() => member.welcome !== undefined || member.closed, "welcome");
    if (!member.welcome) throw new Error(`${user} was not let into ${room}: ${member.bye ?? "closed"}`);
    member.link = links[0];
    return member;
  }

  /** Why the room refuses a connection; `undefined` when it does not. */
  async refusal(room: string, user: string): Promise<string | undefined> {
    const member = new Member(
      user,
      new URL(`/rooms/${room}`, this.workerd.url.replace("http", "ws")),
      await tokenOf(user),
    );
    this.#members.push(member);
    await member.until(() => member.welcome !== undefined || member.bye !== undefined, "an answer");
    return member.bye;
  }

  async look(room: string): Promise<Seen> {
    const response = await fetch(`${this.workerd.url}/look/${room}`);
    if (!response.ok) throw new Error(`look: ${response.status} ${await response.text()}`);
    return response.json<Seen>();
  }

  /** Looks until what it sees is as wanted. */
  async lookUntil(room: string, wanted: (seen: Seen) => boolean, what: string): Promise<Seen> {
    const look = async () => {
      const seen = await this.look(room);
      if (!wanted(seen)) throw new Error(`${room}: waited in vain for ${what}: ${JSON.stringify(seen)}`);
      return seen;
    };
    return eventually(look, { aloneMs: 5_000, everyMs: 50 });
  }

  /** Waits for a line that a room prints by itself. */
  async printed(line: RegExp): Promise<RegExpExecArray> {
    const look = () => {
      const found = line.exec(this.workerd.output);
      if (!found) throw new Error(`waited in vain for ${line}:\n${this.workerd.output}`);
      return found;
    };
    return eventually(look, { aloneMs: 5_000, everyMs: 20 });
  }

  /** Files that workerd holds open, its sockets among them. */
  openFiles(): number {
    return readdirSync(`/proc/${this.workerd.pid}/fd`).length;
  }

  /** A way to have V8 collect its garbage: what is left then is what is held. */
  async collector(): Promise<() => Promise<void>> {
    const response = await fetch(`http://127.0.0.1:${this.#inspector}/json`);
    const [target] = await response.json<{ webSocketDebuggerUrl: string }[]>();
    const socket = new WebSocket(target?.webSocketDebuggerUrl ?? "");
    await once(socket, "open");
    return async () => {
      const answered = once(socket, "message").then(() => true);
      socket.send(JSON.stringify({ id: 1, method: "HeapProfiler.collectGarbage" }));
      // The inspector has its turn only when the isolate has had one.
      const turn = async () => (await (await fetch(this.workerd.url)).text(), false);
      while (!(await Promise.race([answered, turn()])));
    };
  }

  /** Memory of workerd that is in use now, in bytes. */
  memory(): number {
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.workerd.pid}/status`, "utf8")) ?? [];
    return Number(kilobytes) * 1_024;
  }

  async close(): Promise<void> {
    for (const member of this.#members) member.vanish();
    await Promise.all(this.#proxies.map((proxy) => proxy.stop()));
    await this.workerd.stop();
  }
}

export async function tokenOf(user: string): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
}
