/** A CommonJS program. */
import client = require("edgerooms/client");
import react = require("edgerooms/react");

export const room: client.RoomClient = client.connect("https://rooms.example.com", { room: "lobby", token: "none" });
export const useHere = (room: { client: client.RoomClient }): readonly client.Member[] => react.useMembers(room);
