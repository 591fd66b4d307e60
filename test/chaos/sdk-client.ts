/** A program with the SDK: publishes, notes everything it is told and everything its sockets carry. */
import { RoomClient, type SessionStore } from "../../src/client/client.ts";
import type { SocketClass } from "../../src/client/connection/socket.ts";
import { decodeServer } from "../../src/protocol/codec.ts";
import { PING, type ClientFrame } from "../../src/protocol/frames.ts";
import type { ChaosClient, Plan, Status } from "./orders.ts";
import { noted, type Recorder } from "./record.ts";
import { isLarge } from "./rooms.ts";
import { brief } from "./saying.ts";
import { Talk } from "./talk.ts";
import { Tokens } from "./tokens.ts";

/** What node has is what programs use. */
const Platform = globalThis.WebSocket as unknown as SocketClass;

/** One program; a duplicated tab is another one with a copy of the store. */
export class SdkClient implements ChaosClient {
  readonly plan: Plan;
  readonly #recorder: Recorder;
  readonly #random: () => number;
  readonly #store: Map<string, string>;
  readonly #room: RoomClient;
  readonly talk: Talk;
  readonly tokens: Tokens;
  #skew = 0;
  #conn = "";
  #dials = 0;
  #heard = 0;
  #over = false;

  constructor(
    plan: Plan,
    secret: string,
    recorder: Recorder,
    random: () => number,
    store?: ReadonlyMap<string, string>,
  ) {
    this.plan = plan;
    this.#recorder = recorder;
    this.#random = random;
    this.#store = new Map(store);
    this.talk = new Talk(plan, random);
    this.tokens = new Tokens(secret, plan, random);
    const { name: client, user, room } = plan;
    recorder.note({ what: "begin", client, user, room, sort: "sdk" });
    this.#room = new RoomClient(`http://127.0.0.1:${plan.port}`, {
      room,
      token: () => this.tokens.next(),
      storage: this.#store satisfies SessionStore,
      WebSocket: this.#socketClass(),
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        if (response.ok) recorder.note({ what: "renewed", client });
        return response;
      },
      now: () => Date.now() + this.#skew,
      random,
    });
    this.#listen();
    this.#room.connect();
  }

  status(): Status {
    const { position, pending, state, members, memberCount } = this.#room;
    return {
      client: this.plan.name,
      room: this.plan.room,
      open: state.name === "open",
      position: position?.offset ?? 0,
      pending,
      members: members.map(({ id, data }) => `${id} ${JSON.stringify(data ?? null)}`),
      count: isLarge(this.plan.room) ? memberCount : undefined,
      endsAt: this.tokens.endsAt,
      said: this.talk.said,
      heard: this.#heard,
    };
  }

  say(length?: number): void {
    const { name: client } = this.plan;
    const { data, to } = this.talk.next(length);
    const short = brief(data);
    this.#recorder.note({ what: "say", client, data: short });
    this.#room.publish(data, to.length > 0 ? { to } : {}).then(
      ({ offset }) => this.#recorder.note({ what: "settled", client, data: short, offset }),
      (error: { code: string }) => this.#recorder.note({ what: "failed", client, data: short, code: error.code }),
    );
    const dice = this.#random();
    if (dice < 0.02 && !isLarge(this.plan.room)) this.#room.setPresence({ mood: Math.floor(dice * 1_000) });
    else if (dice < 0.05) this.#room.signal("wave");
  }

  wake(): void {
    if (!this.#over) this.#room.connect();
  }

  /** Its clock is set. */
  jump(by: number): void {
    this.#skew += by;
  }

  /** What is in its store now. */
  copy(): ReadonlyMap<string, string> {
    return new Map(this.#store);
  }

  /** The program ends. A page that is closed says nothing; one that logs out leaves. */
  close(leaves: boolean): void {
    this.#over = true;
    this.talk.hush();
    this.#recorder.note({ what: "over", client: this.plan.name });
    if (leaves) this.#room.leave();
    else this.#room.close();
  }

  end(): void {
    const { open, position, pending, members, count } = this.status();
    const { name: client } = this.plan;
    this.#recorder.note({ what: "final", client, conn: this.#conn, open, position, pending, members, count });
  }

  #listen(): void {
    const { name: client } = this.plan;
    const room = this.#room;
    room.on("publication", ({ offset, by, data }) => {
      this.#heard++;
      this.#recorder.note({ what: "item", client, offset, by: String(by), data: brief(data) });
    });
    room.on("reset", ({ offset, reason }) => this.#recorder.note({ what: "reset", client, offset, reason }));
    room.on("resumed", ({ offset }) => this.#recorder.note({ what: "resumed", client, offset }));
    room.on("state", (state) => {
      const reason = "reason" in state ? state.reason : undefined;
      this.#recorder.note({ what: "state", client, name: state.name, reason });
      // A client that gives up for a minute is told, a little later, that it works again: a minute is half of the run.
      // One that an operator has put out comes back, too: with another token.
      const isEnded = state.name === "closed" && ["kicked", "revoked"].includes(state.code);
      if (state.name === "suspended" || isEnded) setTimeout(() => this.wake(), 2_000 * this.#random());
    });
  }

  /** The platform's WebSocket, which notes what it carries before the SDK sees it. */
  #socketClass(): SocketClass {
    const dialled = (url: string) => this.#dialled(url);
    const recorder = this.#recorder;
    const { name: client } = this.plan;
    return class extends Platform {
      readonly #conn: string;

      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        const conn = (this.#conn = dialled(url));
        this.addEventListener("message", ({ data }) => {
          const frames = noted(decodeServer(String(data)) ?? []);
          if (frames.length > 0) recorder.note({ what: "in", client, conn, frames });
        });
        this.addEventListener("close", ({ code = 0 }) => recorder.note({ what: "lost", client, conn, code }));
      }

      override send(text: string): void {
        if (text !== PING) {
          const frames = noted([JSON.parse(text) as ClientFrame | ClientFrame[]].flat());
          recorder.note({ what: "out", client, conn: this.#conn, frames });
        }
        super.send(text);
      }
    };
  }

  #dialled(url: string): string {
    const { name: client, user, room } = this.plan;
    const query = new URL(url).searchParams;
    const offset = query.get("offset");
    this.#conn = `${client}#${++this.#dials}`;
    this.#recorder.note({
      what: "dial",
      client,
      conn: this.#conn,
      user,
      room,
      session: query.get("session") ?? undefined,
      epoch: query.get("epoch") ?? undefined,
      offset: offset === null ? undefined : Number(offset),
    });
    return this.#conn;
  }
}
