/** A CommonJS program. */
import client = require("edgerooms/client");
import members = require("edgerooms/members");
import react = require("edgerooms/react");

export const room: client.RoomClient = client.connect("https://rooms.example.com", { room: "lobby", token: "none" });
export const first: Promise<members.MembersPage> = members.members(room, { limit: 10 });
export const useHere = (room: { client: client.RoomClient }): readonly client.Member[] => react.useMembers(room);
