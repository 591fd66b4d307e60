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
  /** Where the last pub ended, when that is not the position. */
  told?: number | undefined;
  /** Offsets it asked to be told again from, and has not been yet. */
  readonly syncs: number[];
  /** Who is here, as this connection has been told. */
  members: Set<string>;
}

export class Oracle {
  readonly #views = new Map<string, View>();
  readonly #published = new Map<number, string>();
  readonly #visibleTo = new Map<number, readonly string[] | undefined>();
  readonly #offsetOfData = new Map<string, number>();
  readonly #sent = new Map<string, Sent>();

  /** The client sends a publish, perhaps not for the first time. */
  sends(sent: Sent): void {
    this.#sent.set(`${sent.session} ${sent.ref}`, sent);
  }

  /** The client asks in band to continue from an offset. */
  syncs(session: string, offset: number): void {
    this.#views.get(session)?.syncs.push(offset);
  }

  /** Who is here, as a session's connection has been told. */
  members(session: string): string[] {
    return [...(this.#views.get(session)?.members ?? [])].toSorted();
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
        view.told = undefined;
        view.from = frame.offset;
        view.seen.clear();
        // It may be the answer to a sync.
        view.syncs.shift();
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
      case "presence":
        this.#presence(this.#view(session, user), frame);
        break;
      case "bye":
      case "error":
      case "goaway":
      case "heartbeat":
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
    const known = this.#views.get(frame.session);
    check(!known || known.user === user, `${user} got the session of ${known?.user}`);
    check(!frame.resumed || (known && asked === known.position), "resumed, but not from where the client was");
    const view = this.#view(frame.session, user);
    view.syncs.length = 0;
    view.told = undefined;
    view.members = new Set(frame.members.map((member) => member.id));
    check(view.members.has(user), `${user} is not among its own members`);
  }

  /** Nobody comes who is here, and nobody goes who is not. */
  #presence(view: View, frame: Extract<ServerFrame, { type: "presence" }>): void {
    if (frame.members) view.members = new Set(frame.members.map((member) => member.id));
    for (const { id } of frame.join ?? []) {
      check(!view.members.has(id), `${view.user} was told twice that ${id} came`);
      view.members.add(id);
    }
    for (const { id } of frame.update ?? []) check(view.members.has(id), `${id} changed without being here`);
    for (const id of frame.leave ?? []) check(view.members.delete(id), `${view.user} was told that ${id} left twice`);
  }

  #pub(view: View, frame: Extract<ServerFrame, { type: "pub" }>): void {
    // Each pub begins after the last, but for the first answer to a sync.
    const asked = view.syncs.indexOf(frame.from - 1);
    if (asked >= 0 && frame.from !== view.position + 1) view.syncs.splice(0, asked + 1);
    else check(frame.from === this.#told(view) + 1, `told up to ${this.#told(view)}, then from ${frame.from}`);
    view.told = frame.upto;
    // Nothing was missing: such a pub only answers a sync.
    check(frame.upto >= frame.from - 1, `a pub from ${frame.from} up to ${frame.upto}`);
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

  /** Where the next pub must begin: after a replay of old offsets that is not the position. */
  #told(view: View): number {
    return view.told ?? view.position;
  }

  #byUser(offset: number): string | undefined {
    return this.#published.get(offset)?.split(" ")[0];
  }

  #view(session: string, user: string): View {
    const fresh = {
      user,
      position: 0,
      from: 0,
      seen: new Map<number, Publication>(),
      syncs: [],
      members: new Set<string>(),
    };
    const view: View = this.#views.get(session) ?? fresh;
    this.#views.set(session, view);
    return view;
  }
}

/** Throws what is wrong. */
export function check(holds: unknown, what: string): void {
  if (!holds) throw new Error(`the model disagrees: ${what}`);
}
