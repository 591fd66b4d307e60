/**
 * A room with relays in plain Node: hosted objects in one time, and calls between them that a test may lose or hold. For tests
 * of one rule; the simulator has the chaos.
 */
import type { ClientFrame } from "../../src/protocol/frames.ts";
import type { Via } from "../../src/room/admission.ts";
import type { Definition } from "../../src/room/definition.ts";
import type { Down, Mirrored, Pushed, RelayAddress, Up } from "../../src/room/relaying.ts";
import { RelayHost } from "../../src/room/runtime/relay-host.ts";
import { HostedRoom, type Joining, type Peer } from "./hosted.ts";
import { HostedTime } from "./hosted-time.ts";

/** What becomes of a call. `held`: it waits until {@link RelayedRoom.release}. */
export type Fate = "arrives" | "question lost" | "answer lost" | "held";

/** Why a connection was ended, as its client was told; `undefined` while it was not. */
export function byeTo(peer: Peer): string | undefined {
  return peer.of("bye")[0]?.reason;
}

/** One relay, and everything that a test can do to it. */
export class HostedRelay {
  readonly name: string;
  readonly object: HostedRoom;
  /** What it has asked its room. */
  readonly asked: Up[] = [];
  /** What it was answered. */
  readonly told: Down[] = [];
  /** What it was pushed, and by whom: the name of a relay, or `one` for the room. */
  readonly pushed: Mirrored[] = [];
  readonly pushedBy: string[] = [];
  /** Pushes that were tried, lost ones included. */
  tries = 0;
  /** What becomes of what it asks, and of what it is pushed. */
  exchange: Fate = "arrives";
  push: Fate = "arrives";
  /** Connections that it takes. */
  each = 100;
  readonly #world: RelayedRoom;
  #host: RelayHost | undefined;
  #instance = 0;

  constructor(world: RelayedRoom, name: string) {
    this.#world = world;
    this.name = name;
    this.object = new HostedRoom(
      {},
      {
        name,
        time: world.time,
        make: (parts) => {
          const instance = ++this.#instance;
          const host = new RelayHost({
            ...parts,
            ask: (_home, up) => this.#ask(instance, up),
            relayAt: (relay) => ({ push: (mirrored) => world.relay(relay.name).take(mirrored, name) }),
          });
          this.#host = host;
          return host.room;
        },
      },
    );
  }

  get host(): RelayHost {
    if (!this.#host) throw new Error("the relay was not made");
    return this.#host;
  }

  get address(): RelayAddress {
    return { binding: "RELAY", name: this.name, region: this.name.split("-")[0] ?? "" };
  }

  get via(): Via {
    return { relay: this.address, home: { binding: "ROOM", kind: "test", room: "one" }, each: this.each };
  }

  /** Opens a connection, or throws the code of the refusal. */
  async join(joining: Joining = {}): Promise<Peer> {
    const result = await this.connect(joining);
    if ("isFull" in result) throw new Error("full");
    if (!result.ok) throw new Error(result.code);
    // Sound: a hosted object makes every client's end.
    return result.client as unknown as Peer;
  }

  /** Asks for a connection. */
  connect(joining: Joining = {}) {
    return this.object.settled(this.host.connect({ ...this.object.admissionOf(joining), via: this.via }));
  }

  /** The room, or the relay before it, calls. */
  take(mirrored: Mirrored, by: string): Promise<Pushed> {
    this.tries++;
    return this.#world.call(
      () => this.push,
      () => {
        this.pushed.push(mirrored);
        this.pushedBy.push(by);
        return this.host.push(structuredClone(mirrored));
      },
    );
  }

  async #ask(instance: number, up: Up): Promise<Down> {
    const isGone = () => instance !== this.#instance;
    const nothing = new Promise<never>(() => {});
    // What an instance that is no more asks reaches nobody, and it hears no answer.
    if (isGone()) return nothing;
    this.asked.push(up);
    const asked = this.#world.call(
      () => this.exchange,
      () => this.#world.room.host.exchange(structuredClone(up)),
    );
    const down = await asked.catch((error: unknown) => {
      if (isGone()) return nothing;
      throw error;
    });
    if (isGone()) return nothing;
    this.told.push(down);
    return structuredClone(down);
  }
}

/** A room and its relays. */
export class RelayedRoom {
  readonly time = new HostedTime();
  readonly room: HostedRoom;
  readonly #relays = new Map<string, HostedRelay>();
  #held: (() => void)[] = [];

  constructor(definition: Definition = {}, { fan }: { readonly fan?: number } = {}) {
    this.room = new HostedRoom(
      { presence: "count", ...definition },
      {
        time: this.time,
        relayAt: ({ name }) => ({ push: (mirrored) => this.relay(name).take(mirrored, "one") }),
        ...(fan !== undefined && { fan }),
      },
    );
  }

  /** The relay of this name, `region-n`. */
  relay(name: string): HostedRelay {
    const known = this.#relays.get(name);
    if (known) return known;
    const fresh = new HostedRelay(this, name);
    this.#relays.set(name, fresh);
    return fresh;
  }

  get now(): number {
    return this.time.now;
  }

  /** Lets time pass for all of them. Default: so much as a push or an exchange needs. */
  pass(ms = 100): Promise<void> {
    return this.time.pass(ms);
  }

  /** A client says something, and everything happens that comes of it soon. */
  async say(peer: Peer, ...frames: (ClientFrame | object)[]): Promise<void> {
    void peer.say(...frames);
    await this.pass();
  }

  /** Somebody on the server side asks the room for something. */
  async command(command: Parameters<HostedRoom["host"]["command"]>[0]) {
    const result = await this.time.settled(this.room.host.command(command));
    await this.pass();
    return result;
  }

  /** The calls that are held go on. */
  async release(): Promise<void> {
    for (const go of this.#held.splice(0)) go();
    await this.pass();
  }

  /** Lets a call through as its fate is when it is made. */
  async call<T>(fate: () => Fate, run: () => Promise<T>): Promise<T> {
    const decided = fate();
    if (decided === "question lost") throw new Error("the call was lost");
    if (decided === "held") await new Promise<void>((resolve) => this.#held.push(resolve));
    const answer = await run();
    if (decided === "answer lost") throw new Error("the answer was lost");
    return structuredClone(answer);
  }
}
