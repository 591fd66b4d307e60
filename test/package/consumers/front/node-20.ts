/** The client on Node.js 20, as docs/reference/client.md says: with the WebSocket of `ws`. */
import { connect } from "edgerooms/client";
import { WebSocket } from "ws";

export const room = connect("https://rooms.example.com", { room: "chat/lobby", token: "none", WebSocket });
