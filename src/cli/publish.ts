/**
 * `edgerooms publish`: one publication in a room, sent under a key, so that a second try after a lost answer does not
 * publish twice.
 */
import { randomUUID } from "node:crypto";
import { IDEMPOTENCY_KEY } from "../protocol/api.ts";
import { roomIn } from "./address.ts";
import { Failure, Misuse, SERVER, type Command } from "./command.ts";
import { Server } from "./http.ts";
import { print, printJson } from "./output.ts";
import { clock } from "./text.ts";

/** The command `publish`. */
export const publish: Command = {
  name: "publish",
  summary: "Publishes in a room, in the name of the token's user.",
  takes: "ROOM DATA",
  count: [2, 2],
  options: {
    to: { value: "USERS", many: true, help: "only for these users: ann,bob, or several times. Default: everyone" },
    key: { value: "KEY", help: "the same key never publishes twice. Default: a random one" },
    ...SERVER,
  },
  more: `DATA is JSON, or text if it is not JSON; - reads it from standard input. Data that begins with a dash goes after --:
edgerooms publish lobby -- -5`,
  async run(words) {
    const [name = "", data = ""] = words.positionals;
    const room = roomIn(name);
    const to = words.list("to").flatMap((users) => users.split(","));
    if (to.includes("")) throw new Misuse("--to is users, separated by commas.");
    const given = words.text("key");
    if (given !== undefined && !IDEMPOTENCY_KEY.test(given))
      throw new Misuse("--key is 1 to 255 visible ASCII characters.");
    const server = new Server(words);
    // The text as it was typed: numbers keep every digit until the server reads them.
    const text = `{"data":${asJson(data === "-" ? await input() : data)}${to.length > 0 ? `,"to":${JSON.stringify(to)}` : ""}}`;
    const { value, repeated } = await server.ask("publish", room, { text, key: given ?? randomUUID() });
    if (words.has("json")) return printJson({ offset: value.offset, at: value.at, repeated });
    // Under a random key a repeat is only our own second try.
    const done = repeated && given !== undefined ? "Was published before under this key" : "Published";
    await print(`${done}: offset ${String(value.offset)} of ${room.name}, ${clock(value.at, Date.now())}.`);
  },
};

async function input(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks);
  try {
    // The end of the last line is the shell's, not a part of the text.
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(text).replace(/\r?\n$/, "");
  } catch {
    throw new Failure("Standard input is not UTF-8.");
  }
}

/** The JSON text of what was typed. */
function asJson(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
