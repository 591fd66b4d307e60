/** What members of a relay have said, as their room is told of it. Knows nothing of when that is. */
import type { Forwarded } from "../core/effects.ts";
import type { Said } from "../relaying.ts";

/** What sessions say, and the connection that each of them has. */
export interface Spoken {
  readonly said: readonly Said[];
  readonly speakers: readonly Forwarded["connection"][];
}

/** Frames by the connection that sent them, each in its order. The newest token that it had counts for all of them. */
export function bySpeaker(frames: readonly Forwarded[]): Spoken {
  const grouped = new Map<Forwarded["connection"], { session: Forwarded["session"]; frames: Forwarded["frame"][] }>();
  for (const { connection, session, frame } of frames) {
    const mine = grouped.get(connection);
    if (mine) {
      mine.frames.push(frame);
      mine.session = session;
    } else grouped.set(connection, { session, frames: [frame] });
  }
  const said = [...grouped].map(([{ traceparent, rejectedRef }, spoken]): Said => {
    const { id, user, name, grants, requestId, connectedAt, expires } = spoken.session;
    const sender = {
      user,
      session: id,
      name,
      grants,
      requestId,
      connectedAt,
      expires,
      traceparent,
      rejected: rejectedRef,
    };
    return { sender, frames: spoken.frames };
  });
  return { said, speakers: [...grouped.keys()] };
}
