/** `edgerooms kick`: ends sessions of a room, and with --revoke refuses the tokens that they came with. */
import { roomIn } from "./address.ts";
import { Misuse, SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { print, printJson } from "./output.ts";
import { count, visible } from "./text.ts";

/** The command `kick`. */
export const kick: Command = {
  name: "kick",
  summary: "Ends a session of a room, or all of a user.",
  takes: "ROOM",
  count: [1, 1],
  options: {
    user: { value: "USER", help: "whose sessions: all that the room has, connected or not" },
    session: { value: "ID", help: "one session, as `edgerooms stats ROOM` lists them" },
    revoke: { help: "with --user: refuse in this room every token of the user that was issued until now" },
    ...SERVER,
  },
  more: `A user who was kicked can come back with the same token; one who was revoked needs a new one. Ends with 1 when there
was nobody to kick.`,
  async run(words) {
    const room = roomIn(words.positionals[0] ?? "");
    const [user, session, revoke] = [words.text("user"), words.text("session"), words.has("revoke")];
    if ((user === undefined) === (session === undefined)) throw new Misuse("Give --user or --session.");
    if (revoke && user === undefined) throw new Misuse("--revoke needs --user: tokens are a user's.");
    const server = new Server(words);
    const { value } =
      revoke && user !== undefined
        ? await server.ask("revoke", room, { body: { user } })
        : await server.ask("kick", room, { body: user === undefined ? { session: session ?? "" } : { user } });
    // A typing error must not look like a success. To refuse tokens beforehand is one.
    if (value.sessions === 0 && !revoke) process.exitCode = 1;
    if (words.has("json")) return printJson(value);
    const whose = user === undefined ? "" : ` of ${visible(user)}`;
    const ended =
      value.sessions === 0 ? `There was no session${whose}` : `Ended ${count(value.sessions, "session")}${whose}`;
    const refused = revoke ? " Tokens issued until now are refused there." : "";
    await print(`${ended} in ${room.name}.${refused}`);
  },
};
