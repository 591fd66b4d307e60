/** A member as it should be: reads, answers heartbeats, and notices whether it misses anything and how late it is. */

interface Item {
  readonly offset: number;
  readonly data: unknown;
}

/** An honest member with a WebSocket of its own. */
export class Honest {
  readonly #socket: WebSocket;
  readonly #sent = new Map<number, number>();
  #ref = 0;
  /** Offset of the last publication that came. */
  last = 0;
  /** Publications that came. */
  count = 0;
  /** Set when one is missing or out of order. */
  gap = "";
  closed = "";
  /** Milliseconds from a publish of its own to the publication. */
  readonly latencies: number[] = [];

  private constructor(url: string, token: string) {
    this.#socket = new WebSocket(url, ["edgerooms.v1", `bearer.${token}`]);
    this.#socket.addEventListener("close", ({ code, reason }) => (this.closed = `${code} ${reason}`));
    this.#socket.addEventListener("message", ({ data }) => {
      if (data === "pong") return;
      const value = JSON.parse(String(data)) as unknown;
      for (const frame of Array.isArray(value) ? value : [value]) this.#on(frame as { type: string });
    });
  }

  /** Joins and waits for the welcome. */
  static async join(port: number, path: string, token: string): Promise<Honest> {
    const honest = new Honest(`ws://127.0.0.1:${port}/rooms/${path}`, token);
    await new Promise<void>((resolve, reject) => {
      honest.#socket.addEventListener("message", () => resolve(), { once: true });
      honest.#socket.addEventListener("close", () => reject(new Error(`refused: ${honest.closed}`)), { once: true });
    });
    return honest;
  }

  publish(data = "x".repeat(100)): void {
    this.#sent.set(++this.#ref, performance.now());
    this.#socket.send(JSON.stringify({ type: "publish", ref: this.#ref, data: { ref: this.#ref, data } }));
  }

  /** Publishes that have not come back. */
  get waiting(): number {
    return this.#sent.size;
  }

  /** A latency that this share of all is below, in ms. */
  latency(share: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  }

  close(): void {
    this.#socket.close(1000);
  }

  #on(frame: { type: string; offset?: number; from?: number; items?: Item[] }): void {
    if (frame.type === "heartbeat") this.#socket.send("ping");
    if (frame.type === "welcome") this.last = frame.offset ?? 0;
    if (frame.type !== "pub") return;
    if (frame.from !== this.last + 1) this.gap ||= `after ${this.last} came ${frame.from}`;
    for (const { offset, data } of frame.items ?? []) {
      this.last = offset;
      this.count++;
      const { ref } = data as { ref: number };
      const sent = this.#sent.get(ref);
      if (sent !== undefined && this.#sent.delete(ref)) this.latencies.push(performance.now() - sent);
    }
  }
}
