/** A Worker of the bench of relays in a workerd process of its own, and the crowds that connect to it. */
import { dirname, join } from "node:path";
import { Workerd } from "../../test/serve/workerd.ts";
import { adopt, adoptFolder, release } from "../children.ts";
import type { Target } from "../load/jobs.ts";
import { Load } from "../load/load.ts";
import { SECRET } from "../load/token.ts";

/** A Worker that runs. */
export interface Server {
  readonly url: string;
  target(path: string, dialect?: Target["dialect"]): Target;
  stop(): Promise<void>;
}

/** Starts the Worker of a file of this folder. */
export async function startServer(file: string, objects: Readonly<Record<string, string>>): Promise<Server> {
  const vars = { SECRET, AUTH_SECRET: SECRET };
  const workerd = new Workerd({ entry: join(import.meta.dirname, file), objects, vars });
  await workerd.start();
  const { pid, port, url } = workerd;
  adopt(pid);
  adoptFolder(dirname(workerd.storage));
  return {
    url,
    target: (path, dialect = "edgerooms") => ({ dialect, port, path, pid }),
    async stop() {
      await workerd.stop();
      release(pid);
    },
  };
}

/** Some clients in one room. */
export interface Group {
  readonly target: Target;
  readonly room: string;
  readonly members: number;
  /** Users are numbered from here. */
  readonly first?: number;
  /** Those who connect at once, at most. */
  readonly concurrency?: number;
}

/** Opens clients in a generator of their own, and ends both in any case. */
export async function withGroup<T>(group: Group, work: (load: Load) => Promise<T>): Promise<T> {
  const load = new Load();
  const { target, room, members, first = 0, concurrency = 64 } = group;
  try {
    await load.run({ type: "open", target, crowd: { room, rooms: 1, members, first, concurrency } });
    return await work(load);
  } finally {
    await load.stop();
  }
}
