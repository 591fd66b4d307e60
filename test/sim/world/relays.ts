/**
 * The relays of a simulated room, each an object of its own with a disk of its own, and the calls between them and the room: over
 * a network that loses questions and answers. Knows relays only by the methods of their host.
 */
import type { RelayAddress, RelayPort, Home } from "../../../src/room/relaying.ts";
import { RelayHost } from "../../../src/room/runtime/relay-host.ts";
import type { HostParts, RoomHost } from "../../../src/room/runtime/host.ts";
import type { Platform, RoomSocket } from "../../../src/room/runtime/platform.ts";
import type { Era } from "../oracle/history.ts";
import type { Oracle } from "../oracle/oracle.ts";
import type { Weather } from "./link.ts";
import { SimObject, type Hosted, type ObjectParts } from "./object.ts";
import type { Chance } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** How calls between objects fare at the moment. */
export interface Calls {
  /** Until when some are lost, in ms of the simulation, and what share. */
  failUntil: number;
  share: number;
}

/** What relays are made of. */
export interface RelaysParts {
  readonly count: number;
  readonly timeline: Timeline;
  readonly chance: Chance;
  readonly weather: Weather;
  readonly home: Home;
  readonly room: () => SimObject<RoomHost>;
  readonly observer: HostParts["observer"];
  /** Connections of a relay, at most. */
  readonly each: number;
  readonly about: Pick<ObjectParts<RelayInstance>, "wall" | "note">;
  readonly oracle: Oracle;
  /** Whether somebody reads what happens. */
  readonly isTraced: boolean;
}

/** A relay as its runtime has it. */
export class RelayInstance implements Hosted {
  readonly relay: RelayHost;

  constructor(relay: RelayHost) {
    this.relay = relay;
  }

  begin(): Promise<void> {
    return this.relay.room.begin();
  }

  message(socket: RoomSocket, text: string): Promise<void> {
    return this.relay.room.message(socket, text);
  }

  closed(socket: RoomSocket): Promise<void> {
    return this.relay.room.closed(socket);
  }

  alarm(info: { scheduledTime?: number; retryCount?: number }): Promise<void> {
    return this.relay.room.alarm(info);
  }
}

/** All relays of one room. */
export class Relays {
  readonly objects: readonly SimObject<RelayInstance>[];
  readonly calls: Calls = { failUntil: -1, share: 0 };
  readonly each: number;
  readonly home: Home;
  /** The history that each relay knows: that of the room when it was last heard. */
  readonly #eras: Era[] = [];
  /** Calls that were lost. */
  lost = 0;
  readonly #parts: RelaysParts;

  constructor(parts: RelaysParts) {
    this.#parts = parts;
    this.each = parts.each;
    this.home = parts.home;
    this.objects = Array.from({ length: parts.count }, (_, i) => this.#make(i));
  }

  /** Where a relay is. */
  addressOf(nth: number): RelayAddress {
    return { binding: "RELAY", name: `relay-${nth}`, region: "any" };
  }

  /** How an instance calls relays. */
  portFor(caller: () => SimObject<Hosted>, platform: Platform): (relay: RelayAddress) => RelayPort {
    return ({ name }) => ({
      push: (mirrored) => {
        const nth = Number(name.slice("relay-".length));
        const object = this.objects[nth];
        if (!object) throw new Error(`there is no relay ${name}`);
        const copy = structuredClone(mirrored);
        const { after, upto, epoch, dismissals } = mirrored;
        this.#parts.about.note(`push ${name} ${after}..${upto} in ${epoch}, ${JSON.stringify(dismissals)}`);
        const era = this.#eraOf(caller());
        return this.#call([caller(), platform], () =>
          object.call((instance) => {
            // It takes nothing of an epoch that it does not know.
            if (instance.relay.room.state.epochs.current === copy.epoch) this.#eras[nth] = era;
            return instance.relay.push(copy);
          }),
        );
      },
    });
  }

  #make(nth: number): SimObject<RelayInstance> {
    const { timeline, chance, weather, observer, about, room, isTraced } = this.#parts;
    // Long, and of interest only where somebody reads it.
    const explain = (what: () => string) => isTraced && about.note(what());
    const object: SimObject<RelayInstance> = new SimObject<RelayInstance>({
      timeline,
      chance,
      weather,
      ...about,
      note: (what) => about.note(`relay ${nth} ${what}`),
      stamp: () => ({ ...this.#parts.oracle.stamp, era: this.#eraOf(object) }),
      name: `relay-${nth}`,
      build: (platform: Platform) =>
        new RelayInstance(
          new RelayHost({
            platform,
            observer,
            ask: (_home, up) => {
              const copy = structuredClone(up);
              const { at, digest, connections } = up;
              about.note(`relay ${nth} asks from ${at?.offset} in ${at?.epoch}, ${connections} connected, ${digest}`);
              explain(
                () =>
                  `relay ${nth} tells ${JSON.stringify([up.sessions, up.left, up.ended, up.joins.map((join) => join.admission.resume)])}`,
              );
              let era = this.#parts.oracle.history.era;
              const asked = this.#call([object, platform], async () => {
                const down = await room().call((host) => host.exchange(copy));
                ({ era } = this.#parts.oracle.history);
                explain(
                  () => `relay ${nth} is told ${JSON.stringify([down.isUnsure, down.dismissals, down.admitted])}`,
                );
                return down;
              });
              return asked.then((down) => {
                this.#eras[nth] = era;
                return down;
              });
            },
            relayAt: this.portFor(() => object, platform),
          }),
        ),
    });
    return object;
  }

  #eraOf(object: SimObject<Hosted>): Era {
    return this.#eras[this.objects.findIndex((one) => one === object)] ?? this.#parts.oracle.history.era;
  }

  /** A call by one object of another. It leaves when what was written before is durable; it can be lost either way. */
  async #call<T>([from, platform]: readonly [SimObject<Hosted>, Platform], run: () => Promise<T>): Promise<T> {
    // What an instance that is no more asks reaches nobody, and it hears no answer.
    const nothing = new Promise<never>(() => {});
    if (!from.isRunning(platform)) return nothing;
    await from.passGate();
    try {
      await this.#travel();
      this.#mayLose();
      const value = structuredClone(await run());
      await this.#travel();
      this.#mayLose();
      return from.isRunning(platform) ? value : await nothing;
    } catch (error) {
      if (!from.isRunning(platform)) return nothing;
      throw error;
    }
  }

  #mayLose(): void {
    const { timeline, chance } = this.#parts;
    if (timeline.now >= this.calls.failUntil || !chance.once(this.calls.share)) return;
    this.lost++;
    throw new Error("the call was lost");
  }

  #travel(): Promise<void> {
    const { timeline, chance, weather } = this.#parts;
    return new Promise((resolve) => timeline.after(chance.between(weather.low, weather.high), resolve, chance.float()));
  }
}
