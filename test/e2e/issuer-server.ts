/** An issuer that serves its keys over real HTTP, and can fail, hang, go away and come back at the same address. */
import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import type { Socket } from "node:net";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK } from "jose";
import { freePort } from "../support/port.ts";

/** How it meets a question: with its keys, a 500, silence, or half of an answer. */
export type Mood = "well" | "failing" | "hanging" | "stopping";

/** One issuer with one key. */
export class IssuerServer {
  readonly #sockets = new Set<Socket>();
  #server: HttpServer | undefined;
  #key: { jwk: JWK; privateKey: CryptoKey } | undefined;
  #port = 0;
  mood: Mood = "well";
  /** How often it was asked. */
  asked = 0;

  /** Listens; again at the same address when it did before. */
  async start(): Promise<void> {
    this.#key ??= await newKey();
    const keys = JSON.stringify({ keys: [this.#key.jwk] });
    const server = createServer((_request, response) => {
      this.asked++;
      if (this.mood === "failing") response.writeHead(500).end("down");
      if (this.mood === "well") response.writeHead(200, { "content-type": "application/json" }).end(keys);
      if (this.mood === "stopping") response.writeHead(200).write(keys.slice(0, 20));
    });
    server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#port ||= await freePort();
    await once(server.listen(this.#port, "127.0.0.1"), "listening");
    this.#server = server;
  }

  /** Goes away: connections break, new ones are refused. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/keys`;
  }

  /** A token that is good everywhere for an hour. */
  async token(sub: string): Promise<string> {
    if (!this.#key) throw new Error("the issuer was never started");
    const header = { alg: "ES256", kid: this.#key.jwk.kid ?? "" };
    return new SignJWT({})
      .setProtectedHeader(header)
      .setSubject(sub)
      .setExpirationTime("1h")
      .sign(this.#key.privateKey);
  }
}

async function newKey() {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { jwk: { ...(await exportJWK(publicKey)), kid: "the key", alg: "ES256", use: "sig" }, privateKey };
}
