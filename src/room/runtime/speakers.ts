/** What members of a relay have said, as their room is told of it. Knows nothing of when that is. */
import type { Forwarded } from "../core/effects.ts";
import type { Said } from "../relaying.ts";
import type { RoomState } from "../store/state.ts";

/** What sessions say, and the connection that each of them has. */
export interface Spoken {
  readonly said: readonly Said[];
  readonly speakers: readonly Forwarded["connection"][];
}

/** Frames by the connection that sent them, each in its order. */
export function bySpeaker(state: RoomState, frames: readonly Forwarded[]): Spoken {
  const grouped = new Map<Forwarded["connection"], Forwarded["frame"][]>();
  for (const { connection, frame } of frames) {
    const mine = grouped.get(connection);
    if (mine) mine.push(frame);
    else grouped.set(connection, [frame]);
  }
  const said: Said[] = [];
  const speakers: Forwarded["connection"][] = [];
  for (const [connection, spoken] of grouped) {
    const { user, session, since, traceparent, rejectedRef } = connection;
    const known = state.sessions.owned(session, user);
    speakers.push(connection);
    said.push({
      sender: {
        user,
        session,
        name: known?.name ?? null,
        grants: known?.grants ?? [],
        requestId: known?.requestId ?? "",
        connectedAt: known?.connectedAt ?? since,
        traceparent,
        rejected: rejectedRef,
      },
      frames: spoken,
    });
  }
  return { said, speakers };
}
