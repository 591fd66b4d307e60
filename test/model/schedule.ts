/** A random life of a room: people who come, talk, vanish and return, and a runtime that evicts and kills. */
import { Client } from "../support/client.ts";
import { randomFrom } from "../support/random.ts";
import { TestedRoom } from "../support/room.ts";
import { check, Oracle, type Sent } from "./oracle.ts";

/** Grace of the rooms under test, in ms: the default. */
const GRACE = 10_000;

/** A well-behaved client program: keeps its position, sends again what was not acked. */
class Person {
  readonly user: string;
  /** It has credit, and acknowledges what it read. */
  readonly acknowledges: boolean;
  client: Client | undefined;
  session: string | undefined;
  epoch = "";
  nextRef = 1;
  unsettled: Sent[] = [];
  /** When its last connection ended; for what the others must think of it. */
  goneAt = -Infinity;
  #heard = 0;
  #asked: number | undefined;
  readonly #oracle: Oracle;

  constructor(user: string, acknowledges: boolean, oracle: Oracle) {
    this.user = user;
    this.acknowledges = acknowledges;
    this.#oracle = oracle;
  }

  async connect(room: TestedRoom): Promise<void> {
    const { session, epoch } = this;
    this.#asked = session === undefined ? undefined : this.#oracle.position(session);
    const resume = session === undefined ? {} : { session, epoch, offset: this.#asked ?? 0 };
    this.client = await Client.connect(room.path, { user: this.user, credit: this.acknowledges, ...resume });
    this.#heard = 0;
    const welcome = await this.client.next("welcome");
    if (welcome.session !== session) {
      // The old session is over; what was not acked is of unknown outcome and must not be sent again.
      this.unsettled = [];
      this.nextRef = 1;
    }
    this.session = welcome.session;
    this.epoch = welcome.epoch;
    await this.client.until(() => welcome.resumed || this.client?.of("snapshot").length === 1, "the snapshot");
    this.listen();
    if (this.unsettled.length > 0) this.client.send(...this.unsettled.map(toFrame));
  }

  /** Hands what has arrived to the oracle. */
  listen(): void {
    const { client, session } = this;
    if (!client || session === undefined) return;
    for (; this.#heard < client.frames.length; this.#heard++) {
      const frame = client.frames[this.#heard];
      if (frame) this.#oracle.hears(session, this.user, frame, this.#asked);
    }
    this.unsettled = this.unsettled.filter((sent) => sent.offset === undefined);
  }

  publish(count: number, to?: string[]): void {
    if (!this.client || this.session === undefined) return;
    const { user, session } = this;
    const fresh = Array.from({ length: count }, (): Sent & { to?: string[] } => {
      const ref = this.nextRef++;
      return { user, session, ref, data: `${session.slice(0, 6)}.${ref}`, ...(to && { to }) };
    });
    for (const sent of fresh) this.#oracle.sends(sent);
    this.unsettled.push(...fresh);
    this.client.send(...fresh.map(toFrame));
  }

  /** The connection is over, however that came about. */
  gone(now: number): void {
    if (!this.client) return;
    this.listen();
    this.client = undefined;
    this.goneAt = now;
  }
}

function toFrame({ ref, data, to }: Sent & { to?: string[] }) {
  return { type: "publish", ref, data, ...(to && { to }) } as const;
}

/** Plays one schedule; throws what is wrong with the room. */
export async function play(seed: number): Promise<void> {
  const random = randomFrom(seed);
  const upTo = (n: number) => Math.floor(random() * n);
  const room = new TestedRoom(random() < 0.5 ? "small" : "fast");
  let now = Date.now();
  room.stopClock(now);
  const oracle = new Oracle();
  const people = ["ann", "bob", "eve"].map((user) => new Person(user, random() < 0.3, oracle));
  const present = new Set<string>();

  const pass = async (ms: number) => {
    now += ms;
    await room.pass(ms);
    for (const { user, client, goneAt } of people) if (!client && now - goneAt >= GRACE) present.delete(user);
  };
  const kill = async () => {
    const connected = people.filter(({ client }) => client);
    await room.abort();
    // A killed room learns of its lost sockets when it next runs; ringing makes that now.
    await room.ring();
    for (const person of connected) {
      await person.client?.until(() => person.client?.closed !== undefined, "the end of a killed connection");
      person.gone(now);
    }
  };

  for (let step = 10 + upTo(20); step > 0; step--) {
    const person = people[upTo(people.length)] as Person;
    const { client } = person;
    const dice = upTo(100);
    if (!client) {
      if (dice < 75) {
        await person.connect(room);
        present.add(person.user);
      } else if (dice < 85) await room.evict();
      else await pass(1 + upTo(15_000));
    } else if (dice < 40) {
      person.publish(1 + upTo(4), random() < 0.2 ? ["bob"] : undefined);
      if (random() < 0.5) await client.until(() => (person.listen(), person.unsettled.length === 0), "its acks");
    } else if (dice < 45) client.send({ type: "signal", data: "hello" });
    else if (dice < 50) client.send({ type: "presence", data: upTo(10) });
    else if (dice < 56) {
      const offset = upTo(oracle.position(person.session ?? "") + 1);
      oracle.syncs(person.session ?? "", offset);
      client.send({ type: "sync", offset });
    } else if (dice < 60) await person.connect(room);
    else if (dice < 72) {
      await client.close();
      await room.dropped(person.session ?? "");
      person.gone(now);
    } else if (dice < 75) {
      client.send({ type: "leave" });
      await client.next("bye");
      person.gone(now);
      present.delete(person.user);
      person.session = undefined;
      person.unsettled = [];
      person.nextRef = 1;
    } else if (dice < 87) await room.evict();
    else if (dice < 93) await kill();
    else await pass(1 + upTo(15_000));
    for (const each of people) {
      each.listen();
      if (each.acknowledges) each.client?.send({ type: "ack", offset: oracle.position(each.session ?? "") });
    }
  }

  // Everyone comes back, and everything must be accounted for.
  const members = (await room.stub.members()).map((member) => member.id);
  check(
    members.join() === [...present].toSorted().join(),
    `present are ${[...present].join()}, told ${members.join()}`,
  );
  for (const person of people) if (!person.client) await person.connect(room);
  const everyone = people
    .map(({ user }) => user)
    .toSorted()
    .join();
  const { offset: head } = await room.stub.publish("the end");
  for (const person of people) {
    const settled = () => (
      person.listen(),
      person.unsettled.length === 0 && oracle.position(person.session ?? "") >= head
    );
    await person.client?.until(settled, `${person.user}'s acks and offset ${head}`);
  }
  oracle.settle(head);
  for (const { user, session = "" } of people) {
    const told = oracle.members(session).join();
    check(told === everyone, `${user} was told of ${told}, here are ${everyone}`);
  }
  for (const person of people) person.client?.socket.close();
  room.startClock();
  check(room.reports.length === 0, `reports: ${room.reports.join("; ")}`);
}
