/**
 * A WebSocket client that keeps no rule: bare TCP, so that it can stop in the middle of a handshake or of a frame, never
 * read, and never answer a close.
 */
import { connect, type Socket } from "node:net";
import { Changes } from "../support/patience.ts";

/** Where to and with what. */
export interface Knock {
  readonly port: number;
  readonly path: string;
  readonly token?: string;
  readonly headers?: readonly string[];
  /** The request target, if it is to be another than the path. */
  readonly target?: string;
  readonly host?: string;
  readonly from?: string;
}

/** The text of an upgrade request. */
export function handshake({ path, token, headers = [], target = path, host = "rooms.test" }: Knock): string {
  const protocols = token === undefined ? "edgerooms.v1" : `edgerooms.v1, bearer.${token}`;
  return [
    `GET ${target} HTTP/1.1`,
    `Host: ${host}`,
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    `Sec-WebSocket-Protocol: ${protocols}`,
    ...headers,
    "\r\n",
  ].join("\r\n");
}

/** A client's frame: a mask of zeros, which RFC 6455 does not forbid. `announce` lies about the length. */
export function frame(text: string | Buffer, opcode = 1, announce?: number): Buffer {
  const payload = Buffer.from(text);
  const length = announce ?? payload.length;
  const long = length > 65_535;
  const head = Buffer.alloc(length < 126 ? 6 : long ? 14 : 8);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (length < 126 ? length : long ? 127 : 126);
  if (long) head.writeBigUInt64BE(BigInt(length), 2);
  else if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}

/** One TCP connection to the server under attack. */
export class Tcp {
  readonly socket: Socket;
  /** Everything that came, unless nobody reads. */
  heard = "";
  /** Bytes that came. */
  bytes = 0;
  closed = false;
  readonly #changes = new Changes();

  constructor(port: number, from?: string) {
    this.socket = connect({ port, host: "127.0.0.1", ...(from !== undefined && { localAddress: from }) });
    this.socket.setNoDelay(true);
    this.socket.on("error", () => undefined);
    this.socket.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.heard.length < 100_000) this.heard += chunk.toString("latin1");
      this.#changes.notify();
    });
    this.socket.on("close", () => {
      this.closed = true;
      this.#changes.notify();
    });
  }

  /** Upgrades; resolves with the status line once the head of the answer is there. */
  static async upgrade(knock: Knock): Promise<{ tcp: Tcp; status: number }> {
    const tcp = new Tcp(knock.port, knock.from);
    tcp.socket.write(handshake(knock));
    await tcp.until(() => tcp.heard.includes("\r\n\r\n") || tcp.closed, "an answer to the handshake");
    return { tcp, status: Number(tcp.heard.slice(9, 12)) };
  }

  /** Waits for something that a byte or the end of the connection brings. */
  async until(condition: () => boolean, what: string): Promise<void> {
    await this.#changes.until(condition, () => `${what}; heard ${JSON.stringify(this.heard.slice(-300))}`, 5_000);
  }

  /** Says something, right or wrong, and never waits for it to be read. */
  send(text: string): void {
    this.socket.write(frame(text));
  }

  /** Goes without a word. */
  destroy(): void {
    this.socket.destroy();
  }
}
