/** What the store of sessions elsewhere promises: whose they are, who is here, and the same digests after a restart. Part of stores.ts. */
import { expect, it } from "vitest";
import { Tally } from "../../src/room/rules/tally.ts";
import { Meta } from "../../src/room/store/meta.ts";
import { Remote, type RemoteSession } from "../../src/room/store/remote.ts";
import type { WithTables } from "./given.ts";

const at = (name: string) => ({ binding: "RELAY", name, region: "weur" });
const nobody = { isPresent: () => false, presentUsers: () => [], watch: () => undefined };
const open = (sql: SqlStorage) => new Remote(sql, new Meta(sql), nobody);

/** A session of a user, which most tests say little about. */
function session(user: string, more: Partial<RemoteSession> = {}): RemoteSession {
  const usual = { name: null, relay: 1, present: true, attempt: undefined, generation: 1, published: false };
  return { user, session: `of ${user}`, ...usual, ...more };
}

const tables = (sql: SqlStorage) =>
  sql
    .exec("SELECT name FROM sqlite_master WHERE name IN ('edgerooms_remote', 'edgerooms_relays')")
    .toArray()
    .map(({ name }) => name);
const rows = (sql: SqlStorage, table: string) => sql.exec(`SELECT count(*) AS n FROM ${table}`).one()["n"];

/** Rows that something writes. */
function written(sql: SqlStorage, run: () => void): number {
  const total = () => Number(sql.exec("SELECT total_changes() AS n").one()["n"]);
  const before = total();
  run();
  return total() - before;
}

/** Defines the tests. */
export function remoteContract(withTables: WithTables): void {
  it(
    "have no table and no row before the first relay, whatever is asked",
    withTables((sql) => {
      const wrote = written(sql, () => {
        const remote = open(sql);
        expect(remote.find({ user: "ann", session: "s" })).toBeUndefined();
        expect([remote.of("ann"), remote.page("", 10), remote.relays]).toEqual([[], [], []]);
        expect([remote.isPresent("ann"), remote.hasPublished("s"), remote.isAttached]).toEqual([false, false, false]);
        expect([remote.present, remote.size, remote.connected, remote.userOf("s")]).toEqual([0, 0, 0, undefined]);
        remote.detach("nobody");
        expect(remote.digest(1)).toBe(new Tally().digest);
      });
      expect([wrote, tables(sql)]).toEqual([0, []]);
      open(sql).attach(at("a"));
      expect(tables(sql)).toHaveLength(2);
    }),
  );

  it(
    "come back as they were",
    withTables((sql) => {
      const remote = open(sql);
      const { id } = remote.attach(at("a"));
      const ann = session("ann", { name: "Änn 😀", relay: id, attempt: { client: "c", nth: 7 }, generation: 4 });
      remote.put(ann);
      remote.put(session("bob", { relay: id, present: false, published: true }));
      for (const each of [remote, open(sql)]) {
        expect(each.find(ann)).toEqual(ann);
        expect(each.find({ ...ann, user: "eve" })).toBeUndefined();
        expect(each.of("ann")).toEqual([ann]);
        expect(each.at(id).map(({ user }) => user)).toEqual(["ann", "bob"]);
        expect(each.userOf("of bob")).toBe("bob");
        expect([each.isPresent("ann"), each.isPresent("bob")]).toEqual([true, false]);
        expect([each.hasPublished("of ann"), each.hasPublished("of bob")]).toEqual([false, true]);
        expect([each.present, each.size, each.isAttached]).toEqual([1, 2, true]);
        expect(each.relays).toEqual([{ ...at("a"), id, attached: true }]);
      }
    }),
  );

  it(
    "have the digest that their relay counts, whatever happened to them and after a restart",
    withTables((sql) => {
      const remote = open(sql);
      const [a, b] = [remote.attach(at("a")).id, remote.attach(at("b")).id];
      expect(remote.size).toBe(0);
      for (let n = 0; n < 20; n++) remote.put(session(`u${n}`, { relay: a }));
      for (let n = 0; n < 5; n++) remote.put(session(`u${n}`, { relay: b, generation: 2 }));
      for (let n = 5; n < 10; n++) remote.hide(session(`u${n}`, { relay: a }));
      for (let n = 10; n < 15; n++) remote.end(session(`u${n}`, { relay: a }));
      const [there, moved] = [new Tally(), new Tally()];
      for (let n = 5; n < 10; n++) there.toggle(`of u${n}`, false, 1);
      for (let n = 15; n < 20; n++) there.toggle(`of u${n}`, true, 1);
      for (let n = 0; n < 5; n++) moved.toggle(`of u${n}`, true, 1);
      for (const each of [remote, open(sql)]) {
        expect([each.digest(a), each.digest(b)]).toEqual([there.digest, moved.digest]);
        expect([each.size, each.present]).toEqual([15, 10]);
      }
    }),
  );

  it(
    "count each user once, however many sessions it has",
    withTables((sql) => {
      const remote = open(sql);
      remote.attach(at("a"));
      const [one, two] = [session("ann", { session: "1" }), session("ann", { session: "2" })];
      remote.put(one);
      remote.put(two);
      expect([remote.present, open(sql).present]).toEqual([1, 1]);
      remote.hide(one);
      expect([remote.present, remote.isPresent("ann")]).toEqual([1, true]);
      remote.hide(one);
      remote.end(two);
      expect([remote.present, open(sql).present, remote.isPresent("ann")]).toEqual([0, 0, false]);
      remote.put(one);
      expect([remote.present, open(sql).present]).toEqual([1, 1]);
    }),
  );

  it(
    "are told apart from users who are with the room as well, in whatever order they come and go",
    withTables((sql) => {
      const users = new Set(["ann", "bob"]);
      let watcher: (user: string, isPresent: boolean) => void = () => undefined;
      const here = {
        isPresent: (user: string) => users.has(user),
        presentUsers: () => users,
        watch: (watched: typeof watcher) => void (watcher = watched),
      };
      const remote = new Remote(sql, new Meta(sql), here);
      const told: number[] = [remote.elsewhere];
      const agree = () => {
        told.push(remote.elsewhere);
        expect(new Remote(sql, new Meta(sql), { ...here, watch: () => undefined }).elsewhere).toBe(told.at(-1));
      };
      const move = (user: string, isPresent: boolean) => {
        if (isPresent) users.add(user);
        else users.delete(user);
        watcher(user, isPresent);
        agree();
      };
      remote.attach(at("a"));
      for (const user of ["bob", "cid", "dan"]) {
        remote.put(session(user));
        agree();
      }
      move("cid", true);
      move("bob", false);
      move("eve", true);
      remote.hide(session("cid"));
      agree();
      move("cid", false);
      remote.put(session("ann"));
      agree();
      remote.end(session("ann"));
      agree();
      expect(told).toEqual([0, 0, 1, 2, 1, 2, 2, 2, 2, 2, 2]);
    }),
  );

  it(
    "are paged by user in the order of code points, each once and only who is present",
    withTables((sql) => {
      const users = ["a", "b", "z", "é", "\u{E000}", "\u{FFFD}", "\u{10000}", "\u{1F600}"];
      const remote = open(sql);
      remote.attach(at("a"));
      for (const user of users.toReversed()) remote.put(session(user, { name: user.toUpperCase() }));
      remote.put(session("b", { session: "another" }));
      remote.put(session("gone", { present: false }));
      const paged: string[] = [];
      for (let [last] = [""]; paged.length < users.length; last = paged.at(-1) ?? "") {
        const page = remote.page(last, 3);
        expect(page.length).toBeGreaterThan(0);
        paged.push(...page.map(({ id }) => id));
      }
      expect(paged).toEqual(users);
      expect(remote.page("\u{1F600}", 3)).toEqual([]);
      expect(remote.page("", 1)).toEqual([{ id: "a", name: "A" }]);
    }),
  );

  it(
    "cost a row each time that they change, and none when they do not",
    withTables((sql) => {
      const remote = open(sql);
      remote.attach(at("a"));
      const ann = session("ann");
      expect(written(sql, () => remote.put(ann))).toBe(1);
      expect(written(sql, () => remote.put({ ...ann, generation: 2 }))).toBe(1);
      expect(written(sql, () => void remote.attach(at("a")))).toBe(0);
      expect(written(sql, () => remote.publishes({ ...ann, published: true }))).toBe(0);
      expect(written(sql, () => remote.hide({ ...ann, present: false }))).toBe(0);
      expect(written(sql, () => remote.hide(ann))).toBe(1);
      expect(written(sql, () => remote.end({ ...ann, present: false }))).toBe(1);
    }),
  );

  it(
    "let their relay be forgotten when the last of them is over, and not before",
    withTables((sql) => {
      const remote = open(sql);
      const { id } = remote.attach(at("a"));
      remote.put(session("ann", { relay: id }));
      remote.detach("a");
      for (const each of [remote, open(sql)]) {
        expect(each.relays).toEqual([{ ...at("a"), id, attached: false }]);
        expect([each.isAttached, each.connected]).toEqual([false, 0]);
      }
      expect(remote.attach(at("a"))).toEqual({ ...at("a"), id, attached: true });
      remote.detach("a");
      remote.end(session("ann", { relay: id }));
      expect([remote.relays, rows(sql, "edgerooms_relays"), rows(sql, "edgerooms_remote")]).toEqual([[], 0, 0]);
      // One that nobody was ever at goes at once.
      remote.attach(at("b"));
      remote.detach("b");
      expect([remote.relays, rows(sql, "edgerooms_relays")]).toEqual([[], 0]);
    }),
  );

  it(
    "stay with their relay when that moves to another place",
    withTables((sql) => {
      const remote = open(sql);
      const { id } = remote.attach(at("a"));
      const moved = { ...at("a"), region: "enam" };
      expect(remote.attach(moved)).toEqual({ ...moved, id, attached: true });
      expect(open(sql).relays).toEqual([{ ...moved, id, attached: true }]);
      expect(remote.attach(at("b")).id).not.toBe(id);
    }),
  );

  it(
    "stand for the connections of a relay that has not said how many it has",
    withTables((sql) => {
      const remote = open(sql);
      const { id } = remote.attach(at("a"));
      for (const user of ["ann", "bob", "cid"]) remote.put(session(user, { relay: id }));
      expect(open(sql).connected).toBe(3);
      remote.hear(id, 2);
      expect([remote.connected, open(sql).connected]).toEqual([2, 3]);
    }),
  );
}
