/** The metered Workers from outside: starts them and reads their meters. */
import { dirname, join } from "node:path";
import { Workerd } from "../../test/serve/workerd.ts";
import { adopt, adoptFolder, release } from "../children.ts";
import type { Target } from "../load/jobs.ts";
import { SECRET } from "../load/token.ts";
import type { Way } from "./counted.ts";
import type { Use } from "./meter.ts";

/** Rooms with their defaults; with a fast heartbeat; with short windows. */
export type Kind = "room" | "heartbeat" | "leave";

/** A metered Worker. */
export interface Metered {
  /** Where the rooms of a kind are. */
  target(kind: Kind): Target;
  /** What the room has used so far. */
  use(kind: Kind, room: string): Promise<Use>;
  stop(): Promise<void>;
}

/** Starts a metered Worker. */
export async function startMetered(way: Way): Promise<Metered> {
  const workerd = new Workerd({
    entry: join(import.meta.dirname, `${way}.ts`),
    objects: way === "ours" ? { ROOM: "Metered", HEARTBEAT: "FastHeartbeat", LEAVE: "FastLeave" } : { ROOM: "Obvious" },
    vars: { SECRET, AUTH_SECRET: SECRET },
  });
  await workerd.start();
  const { pid, port } = workerd;
  adopt(pid);
  adoptFolder(dirname(workerd.storage));
  const pathOf = (kind: string) => (way === "ours" ? `/rooms/${kind}/{room}` : `/rooms/${kind}-{room}`);
  return {
    target: (kind) => ({ dialect: way === "ours" ? "edgerooms" : "obvious", port, path: pathOf(kind), pid }),
    async use(kind, room) {
      const all = await (await fetch(workerd.url)).json<Record<string, Use>>();
      const found = all[way === "ours" ? room : pathOf(kind).replace("{room}", room)];
      if (!found) throw new Error(`no use of ${room}, only of ${Object.keys(all).join(", ")}`);
      return found;
    },
    async stop() {
      await workerd.stop();
      release(pid);
    },
  };
}

/** The use between two readings. */
export function between(before: Use, after: Use): Use {
  const difference = (name: keyof Use) => after[name] - before[name];
  return {
    requests: difference("requests"),
    messages: difference("messages"),
    alarms: difference("alarms"),
    rowsRead: difference("rowsRead"),
    rowsWritten: difference("rowsWritten"),
    active: difference("active"),
    built: difference("built"),
  };
}
