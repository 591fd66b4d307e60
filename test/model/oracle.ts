/**
 * What must be true of any room, whatever it is made of: judged only by what clients sent and were told. Knows the
 * words of the protocol and none of the implementation.
 */
import type { Publication, ServerFrame } from "../../src/protocol/frames.ts";

/** A publish as its client sees it. */
export interface Sent {
  readonly user: string;
  readonly session: string;
  readonly ref: number;
  readonly data: string;
  offset?: number;
}

/** What one session has been told, over all its connections. */
interface View {
  readonly user: string;
  /** Everything up to here was received or covered. */
  position: number;
  /** Offsets it was told about since its last reset: from here on. */
  from: number;
  readonly seen: Map<number, Publication>;
}

export class Oracle {
  readonly #views = new Map<string, View>();
  readonly #published = new Map<number, string>();
  readonly #visibleTo = new Map<number, readonly string[] | undefined>();
  readonly #offsetOfData = new Map<string, number>();
  readonly #sent = new Map<string, Sent>();
  #epoch: string | undefined;

  /** The client sends a publish, perhaps not for the first time. */
  sends(sent: Sent): void {
    this.#sent.set(`${sent.session} ${sent.ref}`, sent);
  }

  position(session: string): number {
    return this.#views.get(session)?.position ?? 0;
  }

  /** Judges one frame that a session's connection received. `asked`: the offset it asked to resume from. */
  hears(session: string, user: string, frame: ServerFrame, asked: number | undefined): void {
    switch (frame.type) {
      case "welcome":
        this.#welcome(frame, user, asked);
        break;
      case "snapshot": {
        const view = this.#view(session, user);
        check(frame.offset >= view.position, `snapshot at ${frame.offset} behind ${view.position}`);
        view.position = frame.offset;
        view.from = frame.offset;
        view.seen.clear();
        break;
      }
      case "pub":
        this.#pub(this.#view(session, user), frame);
        break;
      case "ack": {
        const sent = this.#sent.get(`${session} ${frame.ref}`);
        check(sent, `ack for a ref that was never sent: ${frame.ref}`);
        if (!sent) return;
        check(sent.offset === undefined || sent.offset === frame.offset, `ref ${frame.ref} acked at two offsets`);
        sent.offset = frame.offset;
        this.#learn(frame.offset, sent.data, sent.user);
        break;
      }
      case "bye":
      case "error":
      case "goaway":
      case "heartbeat":
      case "presence":
      case "reply":
      case "signal":
        break;
    }
  }

  /** The schedule is over and everyone has caught up to `head`: nothing may be missing anywhere. */
  settle(head: number): void {
    for (const [session, view] of this.#views) {
      for (const [offset, data] of this.#published) {
        const to = this.#visibleTo.get(offset);
        const visible = to === undefined || to.includes(view.user) || this.#byUser(offset) === view.user;
        if (offset <= view.from || offset > view.position || !visible) continue;
        check(view.seen.has(offset), `session ${session} of ${view.user} missed ${offset} (${data})`);
      }
    }
    for (const { offset, data } of this.#sent.values()) {
      if (offset !== undefined) check(offset <= head, `${data} was acked at ${offset}, the log ends at ${head}`);
    }
  }

  #welcome(frame: Extract<ServerFrame, { type: "welcome" }>, user: string, asked: number | undefined): void {
    check(frame.member === user, `${user} was welcomed as ${frame.member}`);
    check(this.#epoch === undefined || this.#epoch === frame.epoch, "the epoch changed though no storage was lost");
    this.#epoch = frame.epoch;
    const known = this.#views.get(frame.session);
    check(!known || known.user === user, `${user} got the session of ${known?.user}`);
    check(!frame.resumed || (known && asked === known.position), "resumed, but not from where the client was");
    this.#view(frame.session, user);
  }

  #pub(view: View, frame: Extract<ServerFrame, { type: "pub" }>): void {
    check(frame.from <= view.position + 1, `a gap: at ${view.position}, told from ${frame.from}`);
    check(frame.upto >= frame.from, `a pub from ${frame.from} up to ${frame.upto}`);
    let last = frame.from - 1;
    for (const item of frame.items) {
      check(item.offset > last && item.offset <= frame.upto, `items out of order at ${item.offset}`);
      last = item.offset;
      check(!item.to || item.to.includes(view.user) || item.by === view.user, `${view.user} saw what was not for it`);
      this.#learn(item.offset, item.data as string, item.by);
      this.#visibleTo.set(item.offset, item.to);
      if (item.offset > view.position) {
        check(!view.seen.has(item.offset), `${item.offset} came twice`);
        view.seen.set(item.offset, item);
      }
    }
    view.position = Math.max(view.position, frame.upto);
  }

  /** Whoever tells of an offset, it is the same publication, and no publication has two. */
  #learn(offset: number, data: string, by: string | null): void {
    const text = `${by} ${data}`;
    const before = this.#published.get(offset);
    check(before === undefined || before === text, `offset ${offset} is both ${before} and ${text}`);
    this.#published.set(offset, text);
    const at = this.#offsetOfData.get(text);
    check(at === undefined || at === offset, `${text} took effect twice, at ${at} and ${offset}`);
    this.#offsetOfData.set(text, offset);
  }

  #byUser(offset: number): string | undefined {
    return this.#published.get(offset)?.split(" ")[0];
  }

  #view(session: string, user: string): View {
    const view = this.#views.get(session) ?? { user, position: 0, from: 0, seen: new Map<number, Publication>() };
    this.#views.set(session, view);
    return view;
  }
}

/** Throws what is wrong. */
export function check(holds: unknown, what: string): void {
  if (!holds) throw new Error(`the model disagrees: ${what}`);
}
