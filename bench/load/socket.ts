/**
 * A WebSocket client that does as little as possible: the generator must not cost more than the servers it measures.
 * All sockets read into one buffer. Of a message only the head is kept, unless the owner wants all. No extensions.
 */
import { connect, type Socket } from "node:net";

/** What a socket reports to its owner. */
export interface Listener {
  /** The server answered 101. */
  opened(): void;
  /** Whether a message that begins with this byte must be kept whole. If not, only its head is. */
  whole(first: number): boolean;
  /** A message. `view` is its head or all of it, valid only until this returns. `length` is that of the message. */
  message(view: Buffer, length: number): void;
  /** The connection is over. When the server refused it, `why` is the status line. */
  closed(why: string): void;
}

/** Bytes that are kept of a message when the owner does not want all. */
const HEAD = 96;
const READ = Buffer.allocUnsafe(1 << 18);
/** Any four bytes: masks protect proxies, and there is none. */
const MASK = Buffer.from([0x5a, 0xc3, 0x3c, 0xa5]);
const CONTINUATION = 0;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/** One connection. */
export class LeanSocket {
  readonly #socket: Socket;
  readonly #listener: Listener;
  #handshake: string | undefined = "";
  /** The header of a frame so far: a chunk may end inside it. */
  readonly #header = Buffer.alloc(10);
  #headerLength = 0;
  /** Bytes left of the current frame's payload; -1 inside a header. */
  #left = -1;
  #opcode = 0;
  #final = true;
  /** The current message so far. */
  #parts: Buffer[] = [];
  #kept = 0;
  #length = 0;
  #wantsAll = false;
  #over = false;

  /** @param headers more lines of the upgrade request, without line ends */
  constructor(port: number, path: string, headers: readonly string[], listener: Listener) {
    this.#listener = listener;
    this.#socket = connect({
      host: "127.0.0.1",
      port,
      noDelay: true,
      onread: { buffer: READ, callback: (length) => (this.#read(length), true) },
    });
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: 127.0.0.1:${port}`,
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: ZWRnZXJvb21zIGJlbmNoIQ==",
      ...headers,
    ];
    this.#socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    this.#socket.on("error", (error) => this.#end(String(error)));
    this.#socket.on("close", () => this.#end("closed"));
  }

  /** Sends several texts, each a message of its own, in one write. */
  send(texts: readonly string[]): void {
    this.#socket.write(Buffer.concat(texts.map((text) => encodeFrame(1, Buffer.from(text)))));
  }

  /** Ends the connection as a lost network would: without a closing handshake. */
  destroy(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #end(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    this.#listener.closed(why);
  }

  #read(length: number): void {
    let at = 0;
    if (this.#handshake !== undefined) {
      at = this.#readHandshake(length);
      if (at < 0) return;
    }
    while (at < length && !this.#over) {
      if (this.#left < 0) at = this.#readHeader(at, length);
      if (this.#left >= 0) at = this.#readPayload(at, length);
    }
  }

  #readHandshake(length: number): number {
    const before = this.#handshake?.length ?? 0;
    this.#handshake += READ.toString("latin1", 0, length);
    const end = this.#handshake?.indexOf("\r\n\r\n") ?? -1;
    if (end < 0) return -1;
    const status = this.#handshake?.split("\r\n", 1)[0] ?? "";
    if (!status.startsWith("HTTP/1.1 101")) {
      this.#end(status);
      return -1;
    }
    this.#handshake = undefined;
    this.#listener.opened();
    return end + 4 - before;
  }

  #readHeader(from: number, length: number): number {
    let at = from;
    for (;;) {
      const size = this.#headerLength < 2 ? 2 : headerSize(this.#header[1] ?? 0);
      if (this.#headerLength >= size) break;
      if (at >= length) return at;
      this.#header[this.#headerLength++] = READ[at++] ?? 0;
    }
    const [first = 0, second = 0] = this.#header;
    this.#final = (first & 0x80) !== 0;
    this.#opcode = first & 0x0f;
    const short = second & 0x7f;
    if (short === 127) this.#left = Number(this.#header.readBigUInt64BE(2));
    else this.#left = short === 126 ? this.#header.readUInt16BE(2) : short;
    this.#headerLength = 0;
    return at;
  }

  #readPayload(at: number, length: number): number {
    const here = Math.min(this.#left, length - at);
    const isControl = this.#opcode >= CLOSE;
    if (this.#length === 0 && here > 0 && !isControl) this.#wantsAll = this.#listener.whole(READ[at] ?? 0);
    // The usual case: a whole message in this chunk. Nothing is copied.
    if (here === this.#left && this.#final && this.#opcode !== CONTINUATION && this.#length === 0 && !isControl) {
      this.#left = -1;
      this.#listener.message(READ.subarray(at, at + here), here);
      return at + here;
    }
    const keep = this.#wantsAll || isControl ? here : Math.min(here, HEAD - this.#kept);
    if (keep > 0) this.#parts.push(Buffer.from(READ.subarray(at, at + keep)));
    this.#kept += Math.max(0, keep);
    this.#length += here;
    this.#left -= here;
    if (this.#left === 0) this.#endFrame(isControl);
    return at + here;
  }

  #endFrame(isControl: boolean): void {
    this.#left = -1;
    if (!this.#final) return;
    const view = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    const length = this.#length;
    this.#parts = [];
    this.#kept = 0;
    this.#length = 0;
    if (!isControl) this.#listener.message(view ?? Buffer.alloc(0), length);
    else if (this.#opcode === PING) this.#socket.write(encodeFrame(PONG, view ?? Buffer.alloc(0)));
    else if (this.#opcode === CLOSE) this.#end(`close ${view && view.length >= 2 ? view.readUInt16BE(0) : 1005}`);
  }
}

function headerSize(second: number): number {
  const short = second & 0x7f;
  if (short === 127) return 10;
  return short === 126 ? 4 : 2;
}

function encodeFrame(opcode: number, payload: Buffer): Buffer {
  const size = payload.length < 126 ? 2 : 4;
  const frame = Buffer.allocUnsafe(size + 4 + payload.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (size === 2 ? payload.length : 126);
  if (size === 4) frame.writeUInt16BE(payload.length, 2);
  MASK.copy(frame, size);
  for (let i = 0; i < payload.length; i++) frame[size + 4 + i] = (payload[i] ?? 0) ^ (MASK[i & 3] ?? 0);
  return frame;
}
