/** Cloudflare's runtime as a room or a relay sees it: its storage, its sockets, its clock. */
import { RelayRemoved, type Down, type Home, type RelayAddress, type RelayPort, type Up } from "../relaying.ts";
import type { Platform, RoomSocket } from "./platform.ts";

/** The place of one Durable Object. */
export function platformOf(ctx: DurableObjectState, now: () => number): Platform {
  const { storage } = ctx;
  return {
    name: ctx.id.name ?? "",
    storage,
    sockets: {
      open() {
        const { 0: client, 1: server } = new WebSocketPair();
        ctx.acceptWebSocket(server);
        return { client, server };
      },
      all: () => ctx.getWebSockets(),
      // Sound: every socket of a room came from `all`, `open` or a handler of the runtime.
      answeredAt: (socket: RoomSocket) => ctx.getWebSocketAutoResponseTimestamp(socket as WebSocket)?.getTime() ?? 0,
    },
    now,
    mintId: () => crypto.getRandomValues(new Uint8Array(16)).toBase64({ alphabet: "base64url", omitPadding: true }),
    later(ms, run) {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
}

/** How a relay is called. A new stub each time: one that failed once fails for ever. */
export function relayOf(ctx: DurableObjectState, env: unknown, { binding, name }: RelayAddress): RelayPort {
  return besides(ctx, env, binding).getByName(name) as unknown as RelayPort;
}

/** How the room of a relay is called. */
export function homeOf(ctx: DurableObjectState, env: unknown, { binding, room }: Home): HomePort {
  return besides(ctx, env, binding).getByName(room) as unknown as HomePort;
}

/** What a relay calls of its room. */
interface HomePort {
  exchange(up: Up): Promise<Down>;
}

/** A namespace, in the jurisdiction that this object is in: a room's relays stay where it stays. */
function besides({ id }: DurableObjectState, env: unknown, binding: string): DurableObjectNamespace {
  const namespace = (env as Partial<Record<string, DurableObjectNamespace>>)[binding];
  if (!namespace) throw new RelayRemoved(`there is no Durable Object binding ${binding}`);
  return id.jurisdiction === undefined
    ? namespace
    : namespace.jurisdiction(id.jurisdiction as DurableObjectJurisdiction);
}
