/** The client where the DOM's types are: the platform's own classes and functions fit its options. */
import { connect } from "edgerooms/client";

export const room = connect("/rt", { room: "lobby", token: "none", WebSocket, fetch, storage: undefined });
