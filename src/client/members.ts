/**
 * The members of a room, page by page: for rooms that show their members only a count. Apart from the client, whose size every
 * page pays for. The published entry `edgerooms/members`; takes nothing of the client but types.
 */
import { WHO, type Member } from "../protocol/frames.ts";
import type { Patience, RoomClient, RoomError } from "./client.ts";
import { after as wait } from "./timer.ts";

/** Over what a room asks for, in ms, and twice as much each time: a page costs more of the rate than the room knows of then. */
const PAUSE_MS = 1_000;

/** Which members. */
export interface PageOptions extends Patience {
  /** `next` of the page before. Default: from the beginning. */
  after?: string | undefined;
  /** How many, 1 to 100. Default: 100. */
  limit?: number | undefined;
}

/** Members by id, in order of code points. */
export interface MembersPage {
  readonly members: readonly Member[];
  /** How many the whole room has. */
  readonly count: number;
  /** Where the following page begins. Absent on the last. */
  readonly next?: string;
}

/**
 * One page of the members of the room. A call, as `client.call` is one: it needs a connection.
 *
 * @throws RoomError: `rejected` where the room shows its members to nobody, or the options are wrong; `unknown_method` from a room
 * of an older version; and what `client.call` throws
 */
export async function members(client: Pick<RoomClient, "call">, options: PageOptions = {}): Promise<MembersPage> {
  const { after, limit, ...patience } = options;
  const asked = { ...(after !== undefined && { after }), ...(limit !== undefined && { limit }) };
  const page: unknown = await client.call(WHO, asked, patience);
  // Sound: the room answers this method itself.
  return page as MembersPage;
}

/**
 * All members of the room, one after the other, read page by page while the program goes on. Members that join or leave meanwhile
 * may be missed; nobody comes twice. Waits where the room's rate does not allow the next page yet. Throws what {@link members}
 * does otherwise; `timeout` is that of each page.
 */
export async function* allMembers(
  client: Pick<RoomClient, "call">,
  options: PageOptions = {},
): AsyncGenerator<Member, void, undefined> {
  let { after } = options;
  do {
    const page = await patiently(() => members(client, { ...options, after }));
    yield* page.members;
    after = page.next;
  } while (after !== undefined);
}

async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (let pause = PAUSE_MS; ; pause *= 2) {
    try {
      return await ask();
    } catch (error) {
      const { code, retryAfter = 0 } = error as Partial<RoomError>;
      if (code !== "rate_limited") throw error;
      await new Promise<void>((resolve) => void wait(retryAfter + pause, resolve));
    }
  }
}
