/** Clients lose the network, miss publications, and resume at once: only for rivals that can resume. */
import { latency } from "../measure/stats.ts";
import type { Clients } from "./crowd.ts";
import type { Member } from "./member.ts";
import { Sequence } from "./payload.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Ms for the server to notice lost connections; less than any grace. */
const SETTLE = 1_000;
const PATIENCE = 60_000;

/** `returning` clients of the first room lose their network, and another publishes `missed`. Returns those away. */
export async function stayAway(clients: Clients, missed: number, returning: number): Promise<readonly Member[]> {
  const [publisher, ...others] = clients.rooms[0] ?? [];
  const away = others.slice(0, returning);
  if (!publisher) throw new Error("no client is connected");
  publisher.who = 0;
  for (const member of away) {
    member.sequence = undefined;
    member.notesPlace = true;
    member.place.offset ||= member.received;
  }
  // One publication for all: a client that never received anything has no place to resume from.
  const had = new Map(away.map((member) => [member, member.received]));
  await publish(publisher, 1);
  for (const [member, before] of had) while (member.received === before) await sleep(5);
  for (const member of away) member.drop();
  await sleep(SETTLE);
  await publish(publisher, missed);
  await sleep(200);
  return away;
}

/** They resume. Done when each has what it missed. */
export async function comeBack(clients: Clients, away: readonly Member[], missed: number) {
  // One in a hundred parses everything.
  for (const member of away.filter((_, i) => i % 100 === 0)) member.sequence = new Sequence();
  const start = performance.now();
  const took: number[] = [];
  const arrived = away.map(
    (member) =>
      new Promise<void>((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${member.user} has ${member.received} of ${missed}`)),
          PATIENCE,
        );
        member.onReceived = () => {
          if (member.received < missed) return;
          clearTimeout(timer);
          took.push(performance.now() - start);
          resolve();
        };
      }),
  );
  await Promise.all([clients.connect(away, Infinity), ...arrived]);
  clients.check();
  for (const { user, received, sequence, resumed, place } of away) {
    const isSession = place.session !== "";
    if (received !== missed || (sequence && sequence.seen !== missed) || (isSession && !resumed)) {
      throw new Error(`${user} resumed with ${received} of ${missed} publications, resumed: ${resumed}`);
    }
  }
  return {
    latency: latency(took),
    deliveries: away.length * missed,
    messages: away.reduce((sum, { messages }) => sum + messages, 0),
    publications: missed,
  };
}

/** Publishes in portions that no server refuses, and waits until they have come back. */
async function publish(publisher: Member, count: number): Promise<void> {
  const upto = publisher.own + count;
  for (let left = count; left > 0; left -= 50) {
    const portion = Math.min(left, 50);
    publisher.publish(portion);
    const target = upto - left + portion;
    while (publisher.own < target) await sleep(2);
  }
}
