/**
 * What http/ tells a room about a request it has verified: credentials plus the resume request, in one header of a
 * request that only our own Worker can make. Both ends of that header live here.
 *
 * The seal: the Worker always builds a new request to {@link ROOM_ORIGIN} with nothing of the client's in it but what
 * is listed here, and the room answers no other origin. `.invalid` can never be a zone of anyone's (RFC 2606), so a
 * request from outside that a careless route passes on still reaches no session.
 */
import { grants as known } from "../protocol/api.ts";
import { isOffset } from "../protocol/codec.ts";
import { codes } from "../protocol/codes.ts";
import { MAX_USER_ID, MAX_USER_NAME } from "../protocol/limits.ts";
import type { Refusal } from "../protocol/refusal.ts";
import type { Grant } from "./definition.ts";

/** Where rooms live: an origin that no client can address. */
export const ROOM_ORIGIN = "https://room.edgerooms.invalid";
const HEADER = "edgerooms-admission";

/** What a verified token says. The token itself never leaves http/. */
export interface Credentials {
  readonly user: string;
  readonly name?: string;
  /** What the token allows in this room. */
  readonly grants: readonly Grant[];
  /** When the token was issued, in ms since the epoch; 0 when it does not say. */
  readonly issued: number;
  /** When the token runs out, clock tolerance included, in ms since the epoch. */
  readonly expires: number;
}

/**
 * Whether a value can be credentials. The gate has read them already, by stricter rules; this is for callers that came
 * around it: an RPC call of the deployer's own, or a Worker of another version.
 */
export function isCredentials(value: unknown): value is Credentials {
  if (typeof value !== "object" || value === null) return false;
  const { user, name, grants, issued, expires } = value as Partial<Record<keyof Credentials, unknown>>;
  if (typeof user !== "string" || user.length === 0 || user.length > MAX_USER_ID) return false;
  if (name !== undefined && !(typeof name === "string" && name.length <= MAX_USER_NAME)) return false;
  // Each once at most: what a session has is one row of the room's storage.
  if (!Array.isArray(grants) || grants.length > known.length || !grants.every((grant) => known.includes(grant)))
    return false;
  return isMoment(issued) && isMoment(expires);
}

function isMoment(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

/** What a client asks to continue from. Worth something only to the user who owns the session. */
export interface ResumeRequest {
  readonly session: string;
  /** Absent: the client kept its session but has no position. */
  readonly position?: { readonly epoch: string; readonly offset: number };
}

/** Where a relay is. */
export interface RelayAddress {
  /** Its Durable Object binding. */
  readonly binding: string;
  readonly name: string;
  /** The location hint that it was made with; `any` for none. */
  readonly region: string;
}

/** Where the room of a relay is. */
export interface Home {
  readonly binding: string;
  readonly kind: string;
  readonly room: string;
}

/** How large rooms are spread. */
export interface Spread {
  /** Connections of a room past which new ones go to its relays. */
  readonly from: number;
  /** Connections of one relay, at most. */
  readonly each: number;
  /** The Durable Object binding of the relays. */
  readonly binding: string;
}

/** How a connection comes to a relay. */
export interface Via {
  readonly relay: RelayAddress;
  readonly home: Home;
  /** Connections of the relay, at most. */
  readonly each: number;
}

/** The answer of a room that is spread: how many relays of each region take connections. */
export type Regions = Readonly<Record<string, number>>;

/** Everything a room needs to open a connection. */
export interface Admission {
  readonly kind: string;
  readonly room: string;
  readonly credentials: Credentials;
  readonly requestId: string;
  /** The trace that the upgrade belongs to. Absent from a Worker of an older version. */
  readonly traceparent?: string;
  /** When the Worker received the upgrade, in ms since the epoch. */
  readonly receivedAt: number;
  readonly resume?: ResumeRequest;
  /** The client acknowledges what it reads and wants to be fed no faster. */
  readonly credit: boolean;
  /** Which of its client's attempts to connect it is, from a name of the client. Absent for clients that do not say. */
  readonly attempt?: { readonly client: string; readonly nth: number };
  /** How the room is spread over relays, where its kind has them. */
  readonly spread?: Spread;
  /** The relay that is asked to open it, instead of the room. */
  readonly via?: Via;
}

/** The request that opens a connection in a room. */
export function sealUpgrade(admission: Admission): Request {
  // Header values are Latin-1; names are not.
  const value = encodeURIComponent(JSON.stringify(admission));
  return new Request(ROOM_ORIGIN, { headers: { upgrade: "websocket", [HEADER]: value } });
}

/** The admission of a request, or `undefined` when our Worker did not make it. */
export function openUpgrade(request: Request): Admission | undefined {
  const value = request.headers.get(HEADER);
  if (value === null || new URL(request.url).origin !== ROOM_ORIGIN) return undefined;
  const admission = JSON.parse(decodeURIComponent(value)) as Admission;
  return isCredentials(admission.credentials) ? admission : undefined;
}

const TOKENISH = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * The resume request in an upgrade's query: `session`, and with it `epoch` and `offset` together or neither.
 *
 * @returns `null` when it is malformed, `undefined` when there is none
 */
export function readResume(query: URLSearchParams): ResumeRequest | undefined | null {
  const session = query.get("session");
  const epoch = query.get("epoch");
  const offset = query.get("offset");
  if (session === null) return epoch === null && offset === null ? undefined : null;
  if (!TOKENISH.test(session)) return null;
  if (epoch === null && offset === null) return { session };
  if (epoch === null || offset === null || !TOKENISH.test(epoch) || !/^\d{1,16}$/.test(offset)) return null;
  return isOffset(Number(offset)) ? { session, position: { epoch, offset: Number(offset) } } : null;
}

/**
 * The attempt in an upgrade's query: `attempt=<client>.<nth>`.
 *
 * @returns `null` when it is malformed, `undefined` when there is none
 */
export function readAttempt(query: URLSearchParams): Admission["attempt"] | null {
  const text = query.get("attempt");
  if (text === null) return undefined;
  const [client = "", nth = "", ...more] = text.split(".");
  if (!/^[A-Za-z0-9_-]{1,32}$/.test(client) || !/^\d{1,15}$/.test(nth) || more.length > 0) return null;
  return { client, nth: Number(nth) };
}

/** Of an answer that is no refusal: the connection is to be opened elsewhere. No client ever sees it. */
const MISDIRECTED = 421;

/** A room that is spread says so: how many relays of each region take connections. */
export function answerElsewhere(regions: Regions): Response {
  return Response.json({ elsewhere: regions }, { status: MISDIRECTED });
}

/** A relay has no place. */
export function answerFull(): Response {
  return Response.json({ isFull: true }, { status: MISDIRECTED });
}

/**
 * Where a connection is to be opened instead, as an answer says: how many relays of each region there are, which is nothing from
 * a relay that is full. Each may be anything. `undefined`: the answer is a connection or a refusal, and is unread.
 */
export async function readMisdirected(answer: Response): Promise<Regions | undefined> {
  if (answer.status !== MISDIRECTED) return undefined;
  const body = await answer.json<{ readonly elsewhere?: unknown } | null>();
  const elsewhere = body?.elsewhere;
  return typeof elsewhere === "object" && elsewhere !== null ? (elsewhere as Regions) : {};
}

/** A room's refusal, on its way to the Worker. */
export function answerRefused({ code, message, retryAfter }: Refusal): Response {
  return Response.json({ code, message, retryAfter }, { status: codes[code].http });
}
