/**
 * Connections of one user that end as `slow`, one after another, none of them ever read: the runtime keeps what it holds
 * for a closed socket until TCP ends, so the room must not open one more for ever.
 */
import type { Findings } from "./findings.ts";
import { item } from "./member.ts";
import { BUFFERED } from "./past.ts";
import { droppedAt } from "./vanish.ts";
import type { World } from "./world.ts";

const ROOM = "log/unread";
/** As many as the room lets a user leave unread (MAX_UNREAD in src/room/runtime/sockets.ts). */
const CONNECTIONS = 4;
const SIZE = 60_000;

export async function unread(world: World, findings: Findings): Promise<void> {
  const publisher = await world.join(ROOM, "publisher");
  const stuck = [];
  let ref = 0;
  for (let i = 0; i < CONNECTIONS; i++) {
    const resume = stuck[0]?.position;
    const reader = await world.join(ROOM, "reader", resume && { resume });
    reader.socket.pause();
    stuck.push(reader);
    while (droppedAt(await world.look(ROOM), "reader") === Infinity) {
      publisher.send({ type: "publish", ref: ++ref, data: item(ref, SIZE) });
      await publisher.until(() => publisher.acked === ref, "ack");
    }
  }
  const { sockets } = await world.lookUntil(
    ROOM,
    (seen) => seen.sockets.filter(({ open }) => open).length === 1,
    "every slow socket closed",
  );
  const held = sockets.filter(({ open }) => !open).map(({ buffered }) => buffered);
  const refused = await world.refusal(ROOM, "reader");
  const other = await world.join(ROOM, "other");
  for (const reader of stuck) reader.vanish();
  const seen = await world.lookUntil(ROOM, (now) => now.sockets.length === 2, "only the sockets that read");
  const back = await world.join(ROOM, "reader");
  const sum = held.reduce((bytes, more) => bytes + more, 0);
  findings.fact(
    held.length === CONNECTIONS &&
      Math.max(...held) <= BUFFERED &&
      refused === "rate_limited" &&
      seen.members.includes("publisher") &&
      [other, back].every(({ socket }) => socket.readyState === socket.OPEN),
    `One user, ${CONNECTIONS} connections one after another, each ended as \`slow\` and never read: no session of it was ` +
      `connected any more, yet ${held.length} closed sockets held ${(sum / 1_048_576).toFixed(1)} MiB. A fifth was refused ` +
      "with `rate_limited` until their TCP connections had ended; another user was let in meanwhile.",
  );
}
