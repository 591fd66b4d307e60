/**
 * A receiver of webhooks as somebody would write one, on a real socket, that is not always there: it refuses connections,
 * answers 500, or says nothing at all. Checks every signature, and keeps what it took.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Webhook } from "standardwebhooks";
import type { OutEvent } from "../../src/room/outlet.ts";

/** How it is: taking, or down in one of four manners. `late`: it takes, and the answer is lost. */
export type Manner = "up" | "refusing" | "hanging" | "failing" | "late";

/** What it was sent once. */
export interface Taken {
  readonly id: string;
  readonly room: string;
  readonly events: readonly OutEvent[];
}

export class Receiver {
  readonly taken: Taken[] = [];
  /** Requests by what became of them. */
  readonly answered: Record<Manner, number> = { up: 0, refusing: 0, hanging: 0, failing: 0, late: 0 };
  /** What was wrong with what came; empty when nothing was. */
  readonly wrong: string[] = [];
  readonly #port: number;
  readonly #webhook: Webhook;
  readonly #bodies = new Map<string, string>();
  #server: Server | undefined;
  #manner: Manner = "up";

  constructor(port: number, secret: string) {
    this.#port = port;
    this.#webhook = new Webhook(secret);
  }

  /** Becomes so at once; a request that was left hanging is cut off. */
  async be(manner: Manner): Promise<void> {
    this.#manner = manner;
    if (this.#server) {
      const closed = new Promise((resolve) => this.#server?.close(resolve));
      this.#server.closeAllConnections();
      await closed;
      this.#server = undefined;
    }
    if (manner === "refusing") return;
    const server = createServer((request, response) => {
      // A sender that is cut off while it speaks is no news.
      this.#receive(request, response).catch(() => undefined);
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#server = server;
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const manner = this.#manner;
    this.answered[manner]++;
    const id = String(request.headers["webhook-id"]);
    this.#check(id, body, request.headers as Record<string, string>);
    if (manner === "hanging") return;
    if (manner === "failing") {
      response.writeHead(500).end();
      return;
    }
    const { data } = JSON.parse(body) as { data: Omit<Taken, "id"> };
    this.taken.push({ id, room: data.room, events: data.events });
    if (manner === "late") response.destroy();
    else response.writeHead(204).end();
  }

  #check(id: string, body: string, headers: Record<string, string>): void {
    try {
      this.#webhook.verify(body, headers);
    } catch (error) {
      this.wrong.push(`${id}: ${String(error)}`);
    }
    const before = this.#bodies.get(id);
    if (before !== undefined && before !== body) this.wrong.push(`${id} came again with another body`);
    this.#bodies.set(id, body);
  }
}
