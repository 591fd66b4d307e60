/**
 * A room in plain Node with relays that a test plays: it says what a relay asks, and sees what a relay is told. Relays are those
 * of one region each; nothing is lost between them and the room.
 */
import type { Definition } from "../../src/room/definition.ts";
import type { ClientFrame } from "../../src/protocol/frames.ts";
import {
  RELAYING,
  type Down,
  type ForwardedFrame,
  type Mirrored,
  type RelayAddress,
  type Replied,
  type Sender,
  type Up,
} from "../../src/room/relaying.ts";
import type { Credentials } from "../../src/room/admission.ts";
import { HostedRoom } from "./hosted.ts";

/** Somebody at a relay. */
export interface Seated {
  readonly user: string;
  readonly session: string;
}

/** One relay, as its room sees it. */
export class PlayedRelay {
  readonly address: RelayAddress;
  /** What the room has pushed, in order. */
  readonly told: Mirrored[] = [];
  readonly seated: Seated[] = [];
  readonly #large: LargeRoom;
  #nth = 0;

  constructor(large: LargeRoom, name: string, region: string) {
    this.#large = large;
    this.address = { binding: "RELAY", name, region };
  }

  /** As it says to the room. */
  get connections(): number {
    return this.seated.length;
  }

  /** Members come. Throws the code of the first refusal. */
  async seat(...users: string[]): Promise<Seated[]> {
    const now = this.#large.room.now;
    const joins = users.map((user) => ({
      id: `${this.address.name.replace("/", "-")}-${++this.#nth}`,
      admission: {
        kind: "test",
        room: "one",
        credentials: { user, grants: ["join"], issued: 0, expires: Infinity } satisfies Credentials,
        requestId: "r",
        receivedAt: now,
        credit: false,
      },
    }));
    const { admitted } = await this.exchange({ joins });
    const seated = admitted.map((answer, i) => {
      if (!answer?.ok) throw new Error(answer?.code);
      return { user: users[i] ?? "", session: answer.session };
    });
    this.seated.push(...seated);
    return seated;
  }

  /** One of its members says something. */
  async say({ user, session }: Seated, sender: Partial<Sender>, ...frames: ClientFrame[]): Promise<Replied> {
    const usual = {
      name: null,
      requestId: "r",
      connectedAt: 0,
      traceparent: undefined,
      rejected: 0,
      expires: Infinity,
    };
    const said = [
      {
        sender: { ...usual, grants: ["publish", "signal", "call"] as const, user, session, ...sender },
        frames: frames as ForwardedFrame[],
      },
    ];
    const [replied] = (await this.exchange({ said })).replies;
    if (!replied) throw new Error("no reply");
    return replied;
  }

  /** Tells and asks. */
  exchange(more: Partial<Up>): Promise<Down> {
    const { room } = this.#large;
    return room.settled(
      room.host.exchange({
        version: RELAYING,
        relay: this.address,
        connections: this.connections,
        digest: "",
        left: [],
        ended: [],
        joins: [],
        said: [],
        ...more,
      }),
    );
  }
}

/** The room, and its relays by name. */
export class LargeRoom {
  readonly room: HostedRoom;
  readonly #relays = new Map<string, PlayedRelay>();
  readonly #held = new Map<string, Promise<void>>();

  constructor(definition: Definition = {}) {
    this.room = new HostedRoom(
      { presence: "count", ...definition },
      {
        relayAt: ({ name }) => ({
          push: async (mirrored) => {
            const relay = this.#relays.get(name);
            if (!relay) throw new Error(`there is no relay ${name}`);
            relay.told.push(mirrored);
            await this.#held.get(name);
            return { epoch: mirrored.epoch, offset: mirrored.upto, connections: relay.connections };
          },
        }),
      },
    );
  }

  /** A relay of this room. */
  relay(name: string, region = "any"): PlayedRelay {
    const relay = new PlayedRelay(this, name, region);
    this.#relays.set(name, relay);
    return relay;
  }

  /** The relay answers no push before something else has happened. */
  hold({ address }: PlayedRelay, until: Promise<void>): void {
    this.#held.set(address.name, until);
  }
}
