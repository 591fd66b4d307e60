/**
 * The transcripts of docs/reference/protocol.md as programs. Each step is one event and waits for what it causes; between steps
 * a suite may do to the room whatever it likes.
 */
import { Client, sign, upgrade, type ConnectOptions } from "./client.ts";
import type { TestedRoom } from "./room.ts";
import { exports } from "cloudflare:workers";

/** One run of a scenario: its room, and every connection by name, in the order they were opened. */
export class Run {
  readonly room: TestedRoom;
  readonly clients = new Map<string, Client>();
  readonly #between: () => Promise<void>;

  /** @param between runs after every event */
  constructor(room: TestedRoom, between: () => Promise<void>) {
    this.room = room;
    this.#between = between;
  }

  /** One event, and everything it causes. */
  async event<T>(happen: () => Promise<T>): Promise<T> {
    const result = await happen();
    await this.#between();
    return result;
  }

  /** Connects as an event of its own and waits for the last frame of the opening. */
  async join(name: string, options: ConnectOptions, last: "welcome" | "snapshot" | "pub" = "snapshot") {
    return this.event(async () => {
      const { client, welcome } = await Client.join(this.room.path, { user: name.split("-")[0] ?? name, ...options });
      this.clients.set(name, client);
      if (last !== "welcome") await client.next(last);
      return { client, welcome };
    });
  }

  /** Cuts a connection as an event of its own. */
  async drop(name: string) {
    return this.event(async () => {
      const client = this.clients.get(name);
      await client?.close();
      const [welcome] = client?.of("welcome") ?? [];
      if (welcome) await this.room.dropped(welcome.session);
    });
  }

  /** Every frame of every connection, with what differs from run to run replaced by names. */
  transcript(): string {
    const names = new Map<string, string>();
    const text = JSON.stringify(
      [...this.clients].map(([name, { frames }]) => ({ name, frames })),
      (key, value: unknown) => {
        if (key === "session" || key === "epoch") {
          if (!names.has(String(value))) names.set(String(value), `${key} ${names.size}`);
          return names.get(String(value));
        }
        return key === "at" || key === "expires" || key === "now" ? "a moment" : value;
      },
      1,
    );
    return text;
  }
}

export type Scenario = (run: Run) => Promise<void>;

export const scenarios: Record<string, Scenario> = {
  async join(run) {
    const { client: ann } = await run.join("ann", {});
    await run.join("bob", { claims: { name: "Bob" } });
    await run.event(() => ann.next("presence"));
    await run.event(async () => {
      ann.send({ type: "presence", data: { typing: true } });
      await run.clients.get("bob")?.next("presence");
    });
    await run.event(async () => {
      ann.send({ type: "leave" });
      await run.clients.get("bob")?.next("presence");
      await ann.next("bye");
    });
  },

  async publish(run) {
    const { client: ann } = await run.join("ann", {});
    const { client: bob } = await run.join("bob", {});
    for (const [i, data] of ["one", "two", "three"].entries()) {
      await run.event(async () => {
        await ann.publish(i + 1, data);
        await bob.next("pub");
      });
    }
    await run.event(() => ann.publish(2, "two"));
    await run.event(async () => {
      ann.send({ type: "publish", ref: 4, data: "for bob", to: ["bob"] }, { type: "signal", data: "psst" });
      await bob.next("pub");
    });
    await run.event(async () => {
      bob.send({ type: "sync", offset: 1 });
      await bob.next("pub");
    });
    await run.event(async () => {
      bob.send({ type: "call", ref: 1, method: "nothing", data: null });
      await bob.next("reply");
    });
  },

  async resume(run) {
    const { client: ann, welcome } = await run.join("ann", {});
    const { client: bob } = await run.join("bob", {});
    await run.event(() => ann.publish(1, "before"));
    await run.drop("ann");
    await run.event(() => bob.publish(1, "missed"));
    const position = { session: welcome.session, epoch: welcome.epoch, offset: 1 };
    const { client: again } = await run.join("ann-again", position, "pub");
    await run.event(() => again.publish(1, "before"));
    await run.event(() => again.publish(2, "after"));
    await run.event(async () => {
      await run.join("ann-third", { ...position, offset: 3 }, "welcome");
      await again.next("bye");
    });
    await run.event(() => bob.next("pub"));
  },

  async reset(run) {
    const { client: ann, welcome } = await run.join("ann", {});
    const { session, epoch } = welcome;
    for (let ref = 1; ref <= 8; ref++) await run.event(() => ann.publish(ref, ref));
    await run.drop("ann");
    const { welcome: other } = await run.join("ann-other", { session, epoch: "another", offset: 8 });
    await run.join("ann-ahead", { session, epoch: other.epoch, offset: 9 });
    await run.join("ann-none", { session });
    const { client: late } = await run.join("ann-late", { session, epoch, offset: 1 });
    await run.event(async () => {
      late.send({ type: "sync", offset: 1 });
      await late.next("snapshot");
    });
    await run.join("bob", { session, epoch, offset: 8 });
    await run.event(() => late.next("presence"));
  },

  async refresh(run) {
    const { client: ann, welcome } = await run.join("ann", { ttl: "5s" });
    const refresh = async (ttl: string) => {
      const response = await exports.default.fetch(`http://edge.test/rooms/${run.room.path}/session`, {
        method: "POST",
        headers: { authorization: `Bearer ${await sign("ann", {}, ttl)}`, "content-type": "application/json" },
        body: JSON.stringify({ session: welcome.session }),
      });
      if (!response.ok) throw new Error(`refresh: ${response.status} ${await response.text()}`);
      await response.body?.cancel();
    };
    await run.event(() => refresh("20s"));
    await run.event(() => run.room.pass(16_000));
    await run.event(() => ann.publish(1, "still here"));
    await run.event(async () => {
      await run.room.pass(16_000);
      await ann.next("bye");
    });
  },

  async drain(run) {
    const { client: ann, welcome } = await run.join("ann", {});
    await run.event(() => ann.publish(1, "before"));
    await run.event(async () => {
      await run.room.stub.drain("20s");
      await ann.next("goaway");
    });
    await run.event(async () => {
      const response = await upgrade(run.room.path, { user: "bob" });
      const refused = new Client(response.webSocket as WebSocket);
      run.clients.set("bob", refused);
      await refused.next("bye");
    });
    await run.event(() => ann.publish(2, "in flight"));
    await run.event(async () => {
      await run.room.pass(21_000);
      await ann.next("bye");
    });
    const { session, epoch } = welcome;
    await run.join("ann-again", { session, epoch, offset: 2 }, "welcome");
  },

  async refusal(run) {
    await run.join("ann", {});
    await run.event(async () => {
      const response = await upgrade(run.room.path, { token: "nonsense" });
      const refused = new Client(response.webSocket as WebSocket);
      run.clients.set("stranger", refused);
      await refused.next("bye");
    });
    await run.event(async () => {
      await run.room.stub.kick("ann");
      await run.clients.get("ann")?.next("bye");
    });
  },

  async presence(run) {
    const { client: ann } = await run.join("ann", {});
    const { welcome } = await run.join("bob", {});
    await run.join("bob-tab", {});
    await run.drop("bob");
    await run.drop("bob-tab");
    await run.event(async () => {
      await run.room.pass(11_000);
      await ann.until(() => ann.of("presence").some((frame) => frame.leave), "bob's leave");
    });
    const { session, epoch } = welcome;
    await run.join("bob-back", { session, epoch, offset: 0 }, "welcome");
    await run.event(() => ann.until(() => ann.of("presence").length === 3, "bob's second join"));
    await run.event(() => run.room.pass(30_000));
    await run.event(() => ann.next("heartbeat"));
  },
};
