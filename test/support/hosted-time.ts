/** The time of hosted rooms, which may be several: their timers run in it, and their alarms ring. */

/** What time needs to know of a room. */
export interface Timed {
  readonly storage: { getAlarm(): Promise<number | null> };
  /** Its alarm rings now, and was set for then. */
  ring(scheduledTime: number): Promise<void>;
}

/** One clock. */
export class HostedTime {
  now = 1_800_000_000_000;
  readonly #rooms: Timed[] = [];
  #timers: { readonly at: number; readonly nth: number; readonly room: Timed; readonly run: () => void }[] = [];
  #nth = 0;

  /** A room lives in this time. */
  add(room: Timed): void {
    this.#rooms.push(room);
  }

  /** A number that nobody has had. */
  next(): number {
    return ++this.#nth;
  }

  /** Runs something for a room in a while. Returns what calls it off. */
  later(room: Timed, ms: number, run: () => void): () => void {
    const timer = { at: this.now + ms, nth: this.next(), room, run };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  /** The room is out of memory: nothing that it waited for happens. */
  forget(room: Timed): void {
    this.#timers = this.#timers.filter((timer) => timer.room !== room);
  }

  /** Waits for something, giving it the time that it needs. */
  async settled<T>(work: Promise<T>): Promise<T> {
    const state = { isDone: false };
    const watched = work.finally(() => (state.isDone = true));
    await turns();
    for (let i = 0; !state.isDone && i < 1_000; i++) await this.pass(this.#untilNextTimer());
    if (!state.isDone) throw new Error("the room does not come to an end");
    return watched;
  }

  /** Lets time pass: timers run and alarms ring when their time has come. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    await turns();
    for (;;) {
      const [timer] = this.#timers.toSorted((a, b) => a.at - b.at || a.nth - b.nth);
      const { room, alarm } = await this.#nextAlarm();
      const next = Math.min(timer?.at ?? Infinity, alarm);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (timer && timer.at <= alarm) {
        this.#timers = this.#timers.filter((each) => each !== timer);
        timer.run();
      } else await room?.ring(alarm);
      await turns();
    }
    this.now = end;
  }

  async #nextAlarm(): Promise<{ readonly room: Timed | undefined; readonly alarm: number }> {
    let first: { room: Timed | undefined; alarm: number } = { room: undefined, alarm: Infinity };
    for (const room of this.#rooms) {
      const alarm = (await room.storage.getAlarm()) ?? Infinity;
      if (alarm < first.alarm) first = { room, alarm };
    }
    return first;
  }

  #untilNextTimer(): number {
    const next = Math.min(...this.#timers.map(({ at }) => at));
    return next === Infinity ? 0 : Math.max(0, next - this.now);
  }
}

/** Everything that needs no time happens. */
export function turns(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
