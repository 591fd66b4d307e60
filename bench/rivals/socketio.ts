/** Socket.IO in a Node process: a message of one socket goes to all of its room. `recovery` turns recovery on. */
import { createServer } from "node:http";
import { Server } from "socket.io";
import { verify } from "./verify.ts";

const [, , secret = "", recovery] = process.argv;
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  allowRequest: (request, answer) => {
    void verify(request.headers.authorization, secret).then((ok) => answer(ok ? null : "unauthorized", ok));
  },
  ...(recovery === "recovery" && { connectionStateRecovery: { maxDisconnectionDuration: 120_000 } }),
});

io.on("connection", (socket) => {
  const room = String(socket.handshake.query["room"]);
  if (!socket.recovered) void socket.join(room);
  socket.on("m", (data: string) => io.to(room).emit("m", data));
});

http.listen(0, "127.0.0.1", () => process.send?.(http.address()));
process.on("disconnect", () => process.exit());
