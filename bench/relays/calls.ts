/** Calls between two threads: what RPC is between two objects. Arguments and answers are copied as RPC copies them. */

type Message =
  | { readonly id: number; readonly name: string; readonly value: unknown }
  | { readonly answers: number; readonly value: unknown }
  | { readonly answers: number; readonly error: string };

/** What the two ends have in common. */
interface Port {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: Message) => void): unknown;
}

/** Either end. */
export class Calls {
  readonly #send: (message: Message) => void;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #next = 0;
  /** Called with every change of the number of calls that are not answered. */
  onPending: (pending: number) => void = () => {};

  /** @param answer answers the other end's calls */
  constructor(port: Port, answer: (name: string, value: unknown) => Promise<unknown>) {
    this.#send = port.postMessage.bind(port);
    port.on("message", (message: Message) => {
      if ("id" in message) {
        const { id, name, value } = message;
        answer(name, value).then(
          (answered) => this.#send({ answers: id, value: answered }),
          (error: unknown) => this.#send({ answers: id, error: String(error) }),
        );
        return;
      }
      const waiting = this.#waiting.get(message.answers);
      this.#waiting.delete(message.answers);
      if ("error" in message) waiting?.reject(new Error(message.error));
      else waiting?.resolve(message.value);
      this.onPending(this.#waiting.size);
    });
  }

  /** Calls not answered yet. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Calls the other end. The caller knows what the answer is. */
  call<T>(name: string, value: unknown): Promise<T> {
    const id = this.#next++;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, name, value });
    }) as Promise<T>;
  }
}
