/** The workloads that are priced: what happens in an hour, and what is run to count it. */

/** What happens in one room. */
export interface Workload {
  readonly id: string;
  readonly title: string;
  readonly members: number;
  /** What is run to count what one costs: `senders` each send every `every` ms, for `ms`. */
  readonly run?: {
    readonly what: "publish" | "signal";
    readonly senders: number;
    readonly every: number;
    readonly ms: number;
  };
  /** Publications or signals in an hour. */
  readonly perHour: number;
  /** Connections in an hour. */
  readonly joins: number;
  /** Whether the room is in use: then it has more heartbeats. */
  readonly busy: boolean;
}

/** One room each. The 10,000 rooms are made of two of these. */
export const workloads: readonly Workload[] = [
  { id: "idle", title: "idle room: 5 connected, nothing happens", members: 5, perHour: 0, joins: 0, busy: false },
  {
    id: "chat",
    title: "chat of 10: each writes twice a minute",
    members: 10,
    // Thirty times as fast as in an hour of it. Every publication is still alone.
    run: { what: "publish", senders: 10, every: 1_000, ms: 20_000 },
    perHour: 1_200,
    joins: 10,
    busy: true,
  },
  {
    id: "game",
    title: "game of 10 at 20 Hz: positions as signals, nothing stored",
    members: 10,
    run: { what: "signal", senders: 10, every: 50, ms: 10_000 },
    perHour: 720_000,
    joins: 10,
    busy: true,
  },
  {
    id: "game-stored",
    title: "the same game, every input stored",
    members: 10,
    run: { what: "publish", senders: 10, every: 50, ms: 10_000 },
    perHour: 720_000,
    joins: 10,
    busy: true,
  },
  {
    id: "webinar",
    title: "webinar of 1,000: 5 messages a second from 20 of them",
    members: 1_000,
    run: { what: "publish", senders: 20, every: 4_000, ms: 12_000 },
    perHour: 18_000,
    joins: 1_000,
    busy: true,
  },
];

/** 10,000 rooms of two who stay connected: each day an hour of chat with 20 messages, and 23 idle hours. */
export const manyRooms = { rooms: 10_000, members: 2, busyHours: 1, messages: 20 } as const;

/** Hours in a month. */
export const MONTH = 730;
