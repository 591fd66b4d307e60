/**
 * Judges calls of methods: each is answered once at most, on the connection that asked, and with what the method really
 * returns. Nothing is promised of calls whose connection is lost.
 */
import { WHO, type ClientFrame, type Json, type ServerFrame } from "../../src/protocol/frames.ts";

/** The calls of one connection that were not answered yet. */
export class Calls {
  readonly #open = new Map<number, Extract<ClientFrame, { type: "call" }>>();

  asked(frame: Extract<ClientFrame, { type: "call" }>): void {
    this.#open.set(frame.ref, frame);
  }

  /**
   * Takes an answer.
   *
   * @param users everyone who has ever been there
   * @returns what is wrong with it, as a sentence
   */
  answered({ ref, data, error }: Extract<ServerFrame, { type: "reply" }>, users: ReadonlySet<string>) {
    const call = this.#open.get(ref);
    if (!call) return `the call ${ref} was answered and not asked, or twice`;
    this.#open.delete(ref);
    if (error) return error.retryable ? undefined : `the call ${ref} failed with ${error.code}, for no reason`;
    if (call.method === WHO)
      return whyNotWho(data, call.data as { readonly after: string; readonly limit: number }, users);
    const right = Number(call.data) * 2;
    return data === right ? undefined : `the call ${ref} was answered with ${JSON.stringify(data)}, not ${right}`;
  }
}

function whyNotWho(
  data: Json | undefined,
  { after, limit }: { readonly after: string; readonly limit: number },
  users: ReadonlySet<string>,
): string | undefined {
  const { members, count, next } = data as unknown as {
    readonly members: readonly { readonly id: string }[];
    readonly count: number;
    readonly next?: string;
  };
  const ids = members.map(({ id }) => id);
  const isPage = ids.every((id, i) => id > (ids[i - 1] ?? after)) && ids.length <= limit;
  if (!isPage) return `a page of members after ${after} is ${ids.join()}`;
  const stranger = ids.find((id) => !users.has(id));
  if (stranger !== undefined) return `${stranger} is called a member and was never there`;
  if (count < ids.length) return `${ids.length} members of a page are more than all ${count}`;
  return next === undefined || next === ids.at(-1) ? undefined : `${next} is not the last of ${ids.join()}`;
}
