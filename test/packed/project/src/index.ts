/** A first room, as the README has it. */
import { createApp, defineRoom, reject, Room } from "edgerooms";

export class ChatRoom extends Room<Env> {
  override readonly definition = defineRoom({
    resumeWindow: "1h",
    retain: 1000,
    onPublish: (room, me, data) => (typeof data === "string" ? undefined : reject("only text here")),
  });
}

export default createApp<Env>({ rooms: { chat: "CHAT_ROOM" }, origins: ["https://app.example.com"] });
