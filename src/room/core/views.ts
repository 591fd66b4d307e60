/**
 * What an operator sees of a room: it in numbers, its members and its sessions, page by page where there may be a hundred
 * thousand. Only reads. operate.ts decides who may look.
 */
import {
  MAX_LIST_PAGE,
  SESSION_ID,
  type MemberList,
  type RegionView,
  type RoomStats,
  type SessionList,
  type SessionView,
} from "../../protocol/api.ts";
import type { Caller, Facts, Paged, SocketFacts } from "../operator.ts";
import { byCodePoint, members, page } from "../store/members.ts";
import type { RemoteSession } from "../store/remote.ts";
import type { Session } from "../store/sessions.ts";
import type { RoomState } from "../store/state.ts";

/** The room in numbers. `facts`: of its relays, and what was counted. */
export function stats(state: RoomState, { kind, room }: Caller, facts: Facts): RoomStats {
  const { log, epochs, drain, heartbeat, outbox, connections, remote } = state;
  return {
    kind,
    room,
    epoch: epochs.current,
    offset: log.head,
    oldest: log.oldest,
    members: state.population,
    sessions: state.sessions.size + remote.size,
    connections: connections.size + remote.connected,
    ...(remote.isAttached && atRelays(state, facts)),
    ...(drain && { draining: drain }),
    ...(heartbeat && { heartbeat: { due: heartbeat.due, interval: heartbeat.interval } }),
    ...(state.definition.events && { outbox: outbox.status }),
    counts: facts.counts,
  };
}

/** Relays that have connections, as the room knows them, with what is known of how they are told. */
function atRelays({ remote, connections }: RoomState, { relays: told }: Facts) {
  const attached = remote.relays.filter((relay) => relay.attached);
  const views = new Map(told.map((view) => [view.name, view]));
  const relays = attached.map(({ id, name, region }) => {
    const { lag, heardAt } = views.get(name) ?? {};
    return {
      name,
      region,
      connections: remote.connectionsOf(id),
      ...(lag !== undefined && { lag }),
      ...(heardAt !== undefined && { heardAt }),
    };
  });
  const regions = new Map<string, RegionView>();
  for (const { region, connections: more } of relays) {
    const sum = regions.get(region) ?? { relays: 0, connections: 0 };
    regions.set(region, { relays: sum.relays + 1, connections: sum.connections + more });
  }
  return { direct: connections.size, relays, regions: Object.fromEntries(regions) };
}

/** Everyone who is in the room; page by page, by id in order of code points, where asked for or where there are relays. */
export function memberList(state: RoomState, paged: Paged): MemberList {
  if (!isPaged(state, paged)) return { members: members(state.sessions) };
  const { after = "", limit = MAX_LIST_PAGE } = paged;
  const found = page(state, after, limit);
  const last = found.length === limit ? found.at(-1) : undefined;
  return { members: found, ...(last && { next: last.id }) };
}

/**
 * Every session of the room; page by page, by user and session in order of code points, where asked for or where there are
 * relays. `undefined`: `after` is no `next` of a page.
 */
export function sessionList(state: RoomState, paged: Paged, { sockets }: Facts): SessionList | undefined {
  const view = (session: Session) => directView(state, session, sockets[session.id]);
  if (!isPaged(state, paged)) {
    const ordered = [...state.sessions.all()].toSorted((a, b) => (a.user + a.id < b.user + b.id ? -1 : 1));
    return { sessions: ordered.map(view) };
  }
  const { after, limit = MAX_LIST_PAGE } = paged;
  const from = after === undefined ? { user: "", session: "" } : placeIn(after);
  if (!from) return undefined;
  const here = [...state.sessions.all()].filter(({ user, id }) => inOrder({ user, session: id }, from) > 0).map(view);
  const elsewhere = state.remote.sessionPage(from, limit).map((session) => remoteView(state, session));
  const found = [...here, ...elsewhere].toSorted(inOrder).slice(0, limit);
  const last = found.length === limit ? found.at(-1) : undefined;
  return { sessions: found, ...(last && { next: `${last.session}.${last.user}` }) };
}

/** A room of the usual size answers with everybody, as ever. */
function isPaged({ remote }: RoomState, { after, limit }: Paged): boolean {
  return remote.isUsed || after !== undefined || limit !== undefined;
}

type Place = Pick<SessionView, "user" | "session">;

function placeIn(after: string): Place | undefined {
  const [session = ""] = after.split(".", 1);
  return SESSION_ID.test(session) ? { session, user: after.slice(session.length + 1) } : undefined;
}

function inOrder(a: Place, b: Place): number {
  return byCodePoint(a.user, b.user) || byCodePoint(a.session, b.session);
}

function directView(state: RoomState, session: Session, facts: SocketFacts | undefined): SessionView {
  const { id, user, name, connectedAt, droppedAt } = session;
  const view = { session: id, user, ...(name !== null && { name }), since: connectedAt };
  const connection = state.connections.get(id);
  if (!connection) return { ...view, connected: false, ...(droppedAt !== null && { droppedAt }) };
  const { answeredAt = 0, unread } = facts ?? {};
  return {
    ...view,
    connected: true,
    lag: state.log.head - (connection.credit?.offset ?? connection.stoppedAt ?? state.log.head),
    heardAt: answeredAt,
    missed: connection.missed,
    ...(unread !== undefined && { unread }),
  };
}

/** Only its relay knows how its connection is. */
function remoteView({ remote }: RoomState, { user, session, name, relay, present }: RemoteSession): SessionView {
  const place = remote.relays.find(({ id }) => id === relay);
  return { session, user, ...(name !== null && { name }), relay: place?.name ?? "", present };
}
