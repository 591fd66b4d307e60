/** What reaches the room from outside: commands of its owner, publications over HTTP, a storage that is put back. */
import type { Command } from "../../src/room/core/event.ts";
import type { Cast, Post } from "./cast.ts";
import { check } from "./oracle/history.ts";
import type { Wire } from "./world/wire.ts";

/** Codes after which a publication over HTTP certainly took no effect. */
const WITHOUT_EFFECT = new Set([
  "rejected",
  "forbidden",
  "hook_failed",
  "internal",
  "storage_failed",
  "too_large",
  "rate_limited",
]);

/** Does something to a wire, if there is one, and counts it. */
export function draw(cast: Cast, fault: string, wire: Wire | undefined, run: (wire: Wire) => void): void {
  if (!wire) return;
  cast.count(fault);
  run(wire);
}

/** A command by RPC. Resolves with its value, or `undefined` when it was refused or nobody answered. */
export async function ask(cast: Cast, command: Command): Promise<unknown> {
  try {
    const result = await cast.world.object.call((host) => host.command(command));
    return result.ok ? (result.value ?? true) : undefined;
  } catch {
    return undefined;
  }
}

/** Publishes in the room's own name. Resolves with the offset. */
export async function reach(cast: Cast, to?: readonly string[], text?: string): Promise<number | undefined> {
  const { world } = cast;
  const data = text ?? `server ${world.chance.below(1e9)}`;
  const { history } = world.oracle;
  history.wish(data, { by: null, to });
  const { era } = history;
  const value = (await ask(cast, { type: "publish", data, ...(to && { to }) })) as { offset: number } | undefined;
  try {
    if (value) history.learn(era, value.offset, data, null);
  } catch (error) {
    world.fail(error);
  }
  return value?.offset;
}

/** Publishes over HTTP, or once more what was published before under the same key. */
export function post(cast: Cast): void {
  const { world, posts } = cast;
  const { chance } = world;
  const old = chance.once(0.4) ? posts[chance.below(posts.length)] : undefined;
  const user = chance.pick(["ann", "eve"]);
  const fresh = { key: chance.once(0.7) ? `key-${cast.posted}` : undefined, text: `post ${cast.posted}`, user };
  const what: Post = old?.key === undefined ? fresh : old;
  if (what === fresh) {
    cast.posted++;
    posts.push(fresh);
    world.oracle.history.wish(fresh.text, { by: user, to: undefined });
  }
  const claims = { user: what.user, grants: ["join", "publish"], issued: world.wall, expires: world.wall + 60_000 };
  void send(cast, what, JSON.stringify(claims)).catch((error: unknown) => world.fail(error));
}

async function send(cast: Cast, { key, text }: Post, token: string): Promise<void> {
  const { edge, oracle } = cast.world;
  let { era } = oracle.history;
  const answer = await edge.request(token, (host, credentials) => {
    ({ era } = oracle.history);
    const named = key === undefined ? undefined : { name: key, digest: text };
    return host.operate(edge.caller(credentials), { type: "post", data: text, key: named });
  });
  if (!answer.ok) return;
  const { value: result } = answer;
  if (result.ok) {
    const { offset } = result.value as { offset: number };
    const stored = era.find(text);
    check(stored === undefined || stored === offset, () => `"${text}" was answered ${offset} and is at ${stored}`);
    // A repeat may be told of an offset that came into the log by the first try.
    oracle.history.learn(era, offset, text, (JSON.parse(token) as { user: string }).user);
  } else if (key === undefined && WITHOUT_EFFECT.has(result.code)) oracle.history.refuse(text, result.code);
}

/** The storage becomes what it was when it was copied. Every socket goes with it. */
export function restore(cast: Cast): void {
  const { copy, world, outgoing } = cast;
  if (!copy) return;
  const { object, oracle } = world;
  cast.count("storage restored");
  object.replace(copy.copy);
  oracle.history.restored(copy.copy.head, copy.era, copy.at);
  oracle.isTimeUnsure = true;
  outgoing.restored();
  cast.reminders = [...copy.reminders];
  cast.posts.length = 0;
}
