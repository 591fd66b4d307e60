/** Plays a schedule of faults against the network, the server and the clients, notes what it did, and heals it all. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Link, Proxy } from "../serve/proxy.ts";
import type { Workerd } from "../serve/workerd.ts";
import { patience } from "../support/patience.ts";
import type { Fleet } from "./fleet.ts";
import type { Plan } from "./orders.ts";
import type { Recorder } from "./record.ts";
import type { Planned } from "./schedule.ts";

/** Bursts that make a slow reader fall behind: so many publications of so many bytes by each of so many others. */
const BURST = { count: 40, length: 16_000, by: 3 } as const;

/** What a client's connections go through at present; those it makes meanwhile, too. */
interface Weather {
  delay: number;
  throttle: number | undefined;
  out: boolean;
}

/** One client's way to the server. */
export interface Route {
  readonly plan: Plan;
  readonly proxy: Proxy;
  readonly weather: Weather;
}

/** Lets a new connection have the weather that the others have. */
export function expose(link: Link, { delay, throttle, out }: Weather): void {
  link.delay = delay;
  link.throttle = throttle;
  link.stalled = out;
}

/** The nemesis of one run. */
export class Nemesis {
  readonly #workerd: Workerd;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #fleet: Fleet;
  readonly #recorder: Recorder;
  readonly #heals = new Set<{ readonly timer: ReturnType<typeof setTimeout>; readonly heal: () => void }>();
  /** Called with each new process of the server. */
  readonly #onServer: () => void;
  /** Faults done. */
  done = 0;
  /** What the server printed before it was killed. */
  output = "";

  constructor(
    workerd: Workerd,
    routes: ReadonlyMap<string, Route>,
    fleet: Fleet,
    recorder: Recorder,
    onServer: () => void,
  ) {
    this.#workerd = workerd;
    this.#routes = routes;
    this.#fleet = fleet;
    this.#recorder = recorder;
    this.#onServer = onServer;
  }

  /** Plays the whole schedule. */
  async play(planned: readonly Planned[]): Promise<void> {
    const start = performance.now();
    for (const each of planned) {
      const wait = start + each.at - performance.now();
      if (wait > 0) await sleep(wait);
      const missed = await this.#do(each).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      const { fault, target, ms, amount } = each;
      const detail = missed ?? ([ms && `${ms} ms`, amount].filter(Boolean).join(", ") || undefined);
      this.#recorder.note({ what: "fault", fault: missed === undefined ? fault : `missed ${fault}`, target, detail });
      this.done++;
    }
  }

  /** Everything works again. */
  async heal(): Promise<void> {
    for (const { timer, heal } of this.#heals) {
      clearTimeout(timer);
      heal();
    }
    this.#heals.clear();
    this.#recorder.note({ what: "fault", fault: "healed", target: "everyone" });
  }

  /** Ends the server as a crash would and starts it on the same disk. */
  async restart(): Promise<void> {
    await this.#workerd.kill();
    this.output += this.#workerd.output;
    await this.#workerd.start();
    this.#onServer();
  }

  async #do({ fault, target, ms, amount }: Planned): Promise<void> {
    const route = this.#routes.get(target);
    switch (fault) {
      case "cut":
        for (const link of route?.proxy.links ?? []) link.cut();
        break;
      case "herd":
        for (const { plan, proxy } of this.#routes.values()) {
          if (plan.room === target) for (const link of proxy.links) link.cut();
        }
        break;
      case "half-open":
        this.#silence(route, ms);
        break;
      case "suspend":
        this.#silence(route, ms);
        this.#fleet.order({ order: "jump", client: target, by: amount });
        break;
      case "outage":
        this.#change(route, { out: true }, ms);
        break;
      case "delay":
        this.#change(route, { delay: amount }, ms);
        break;
      case "slow":
        this.#change(route, { throttle: amount }, ms);
        this.#burst(route);
        break;
      case "deaf":
        this.#fleet.order({ order: "deaf", client: target, ms });
        this.#burst(route);
        break;
      case "evict":
      case "abort":
        await this.#ask(`${target}/${fault}`);
        break;
      case "relay-evict":
      case "relay-abort":
        await this.#ask(`${target}/${fault}?nth=${amount}`);
        break;
      case "kick":
      case "revoke":
        await this.#endSessions(route, fault);
        break;
      case "drain":
        await this.#ask(`${target}/drain?within=${ms}`);
        break;
      case "kill":
        await this.restart();
        break;
      case "clock":
        this.#fleet.order({ order: "jump", client: target, by: amount });
        break;
      case "duplicate":
        // A line that is already dead does not tell the first one that it was replaced: it comes back, too.
        if (amount > 0) this.#silence(route, ms / 2, true);
        this.#fleet.order({ order: "duplicate", client: target, ms });
        break;
      case "guest":
        this.#fleet.order({ order: "guest", client: target, ms });
        break;
      case "thief":
        this.#fleet.order({ order: "steal", client: target });
        break;
      case "leave":
        this.#fleet.order({ order: "leave", client: target });
        break;
    }
  }

  /** Every session of a client's user, also those of others who have the same. */
  async #endSessions(route: Route | undefined, how: "kick" | "revoke"): Promise<void> {
    if (!route) return;
    const { user, room } = route.plan;
    this.#recorder.note({ what: "ending", user, room });
    await this.#ask(`${room}/${how}?user=${encodeURIComponent(user)}`);
    this.#recorder.note({ what: "ended", user, room });
  }

  /** Nothing goes through the connections that there are, for so many ms; or ever again. */
  #silence(route: Route | undefined, ms: number, forGood = false): void {
    const links = [...(route?.proxy.links ?? [])];
    for (const link of links) link.stalled = true;
    this.#later(ms, () => {
      for (const link of links) {
        if (forGood) link.cut();
        else link.stalled = route?.weather.out ?? false;
      }
    });
  }

  /** Until `ms` are over, all connections of a client have it, those that it makes meanwhile, too. */
  #change(route: Route | undefined, change: Partial<Weather>, ms: number): void {
    if (!route) return;
    const { weather, proxy } = route;
    const apply = () => {
      for (const link of proxy.links) expose(link, weather);
    };
    Object.assign(weather, change);
    apply();
    this.#later(ms, () => {
      if (change.out) weather.out = false;
      if (change.delay) weather.delay = 0;
      if (change.throttle) weather.throttle = undefined;
      apply();
    });
  }

  #burst(route: Route | undefined): void {
    const others = [...this.#routes.values()].filter(
      ({ plan }) => plan.room === route?.plan.room && plan !== route.plan,
    );
    for (const { plan } of others.slice(0, BURST.by)) {
      this.#fleet.order({ order: "burst", client: plan.name, count: BURST.count, length: BURST.length });
    }
  }

  #later(ms: number, heal: () => void): void {
    const entry = {
      heal,
      timer: setTimeout(() => {
        this.#heals.delete(entry);
        heal();
      }, ms),
    };
    this.#heals.add(entry);
  }

  async #ask(path: string): Promise<void> {
    const response = await fetch(`${this.#workerd.url}/chaos/${path}`, {
      method: "POST",
      signal: AbortSignal.timeout(patience()),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
  }
}
