/**
 * Counts inside a Worker what Cloudflare bills of a Durable Object: calls, rows, alarms, active time. The counts survive
 * hibernation, because the isolate does. Only the Workers of the cost bench use it.
 */

/** What one object has used. */
export interface Use {
  /** Calls of fetch and RPC from outside. */
  requests: number;
  /** WebSocket messages that reached the object. Those that the runtime answers itself do not. */
  messages: number;
  alarms: number;
  rowsRead: number;
  /** Rows of SQL, and one row for every alarm that is set or deleted. */
  rowsWritten: number;
  /** Milliseconds in which at least one event was being handled. */
  active: number;
  /** How often it was built in memory. */
  built: number;
}

const uses = new Map<string, Use>();
/** Cursors whose counts may still grow. */
const cursors = new Map<SqlStorageCursor<Record<string, SqlStorageValue>>, Use>();
const running = new WeakMap<DurableObjectState, { depth: number; since: number }>();

function useOf(ctx: DurableObjectState): Use {
  const name = ctx.id.name ?? ctx.id.toString();
  let use = uses.get(name);
  if (!use) {
    use = { requests: 0, messages: 0, alarms: 0, rowsRead: 0, rowsWritten: 0, active: 0, built: 0 };
    uses.set(name, use);
  }
  return use;
}

/** The counts of every object so far. */
export function readMeter(): Record<string, Use> {
  settle();
  return Object.fromEntries(uses);
}

function settle(): void {
  for (const [cursor, use] of cursors) {
    use.rowsRead += cursor.rowsRead;
    use.rowsWritten += cursor.rowsWritten;
  }
  cursors.clear();
}

/** Counts the use of an object's storage. Call it before the object's own constructor, which reads already. */
export function meterStorage(ctx: DurableObjectState): void {
  const use = useOf(ctx);
  use.built++;
  const { storage } = ctx;
  const { sql } = storage;
  const exec = sql.exec.bind(sql);
  const counted = (query: string, ...bindings: unknown[]) => {
    // A cursor has its counts once it has been read to the end, which is before the next statement.
    if (cursors.size > 100) settle();
    const cursor = exec(query, ...bindings);
    cursors.set(cursor, use);
    return cursor;
  };
  Object.defineProperty(sql, "exec", { value: counted });
  for (const name of ["setAlarm", "deleteAlarm"] as const) {
    const call = storage[name].bind(storage) as (...args: unknown[]) => Promise<void>;
    const alarm = (...args: unknown[]) => {
      use.rowsWritten++;
      return call(...args);
    };
    Object.defineProperty(storage, name, { value: alarm });
  }
}

/** The methods that the platform calls, and what each call counts as. */
const HANDLERS = {
  fetch: "requests",
  // What objects call of one another.
  exchange: "requests",
  push: "requests",
  deliver: "requests",
  webSocketMessage: "messages",
  webSocketClose: undefined,
  webSocketError: undefined,
  alarm: "alarms",
} as const;

/** Counts the calls and the active time of the handlers of a class. */
export function meterHandlers(
  cls: { readonly prototype: object },
  ctxOf: (object: object) => DurableObjectState,
): void {
  for (const [name, counts] of Object.entries(HANDLERS)) {
    const handler = (cls.prototype as Record<string, unknown>)[name];
    if (typeof handler !== "function") continue;
    const metered = function (this: object, ...args: unknown[]): Promise<unknown> {
      const ctx = ctxOf(this);
      if (counts) useOf(ctx)[counts]++;
      return active(ctx, async () => (await Reflect.apply(handler, this, args)) as unknown);
    };
    Object.defineProperty(cls.prototype, name, { value: metered, configurable: true });
  }
}

/** Something for which the object is awake. */
async function active<T>(ctx: DurableObjectState, work: () => Promise<T>): Promise<T> {
  const use = useOf(ctx);
  const run = running.get(ctx) ?? { depth: 0, since: 0 };
  running.set(ctx, run);
  if (run.depth++ === 0) run.since = Date.now();
  try {
    return await work();
  } finally {
    if (--run.depth === 0) use.active += Date.now() - run.since;
  }
}

/** The environment of an object whose calls of these bindings count as time in which it is awake. */
export function meterCalls<Env extends object>(ctx: DurableObjectState, env: Env, bindings: readonly string[]): Env {
  const metered = bindings.map((binding) => {
    const namespace = (env as Readonly<Record<string, DurableObjectNamespace>>)[binding];
    if (!namespace) throw new Error(`there is no binding ${binding}`);
    const getByName = (name: string) => {
      const stub = namespace.getByName(name);
      // A stub has every method that anyone asks for.
      const called = stub as unknown as Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;
      return new Proxy(stub, {
        get:
          (_stub, method) =>
          (...args: unknown[]) =>
            active(ctx, async () => called[String(method)]?.(...args)),
      });
    };
    return [binding, { getByName }] as const;
  });
  return { ...env, ...Object.fromEntries(metered) };
}
