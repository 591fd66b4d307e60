/** Plain `ws` in a Node process: a message of one socket goes to all of its room. */
import { createServer } from "node:http";
import { WebSocketServer, type WebSocket } from "ws";
import { verify } from "./verify.ts";

const [, , secret = ""] = process.argv;
const http = createServer();
const server = new WebSocketServer({ noServer: true });
const rooms = new Map<string, Set<WebSocket>>();

http.on("upgrade", (request, stream, head) => {
  const admit = (ok: boolean) => {
    if (!ok) stream.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
    else server.handleUpgrade(request, stream, head, (socket) => join(String(request.url), socket));
  };
  void verify(request.headers.authorization, secret).then(admit);
});

function join(name: string, socket: WebSocket): void {
  const room = rooms.get(name) ?? new Set();
  rooms.set(name, room.add(socket));
  socket.on("message", (data: Buffer) => {
    for (const other of room) other.send(data, { binary: false });
  });
  socket.on("close", () => room.delete(socket));
}

http.listen(0, "127.0.0.1", () => process.send?.(http.address()));
process.on("disconnect", () => process.exit());
