/**
 * The command line `edgerooms`: finds the command, runs it, and ends with its exit code. 0: done. 1: the request failed. 2: the
 * command line makes no sense. Every error becomes one line on stderr here and nowhere else.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Misuse, helpOf, read, usageOf, type Command } from "./command.ts";
import { deadLetters, drop, redeliver, skip } from "./dead-letters.ts";
import { drain } from "./drain.ts";
import { failures } from "./failures.ts";
import { kick } from "./kick.ts";
import { members } from "./members.ts";
import { endWithReader, notice, print } from "./output.ts";
import { complaintsOf } from "./project.ts";
import { publish } from "./publish.ts";
import { rooms } from "./rooms.ts";
import { stats } from "./stats.ts";
import { tail } from "./tail.ts";
import { visible } from "./text.ts";
import { token } from "./token.ts";

const COMMANDS: readonly Command[] = [
  token,
  rooms,
  members,
  publish,
  tail,
  kick,
  drain,
  stats,
  failures,
  deadLetters,
  redeliver,
  skip,
  drop,
];

/** Of the package that this belongs to; built or not, it is two folders up. */
const MANIFEST = fileURLToPath(new URL("../../package.json", import.meta.url).href);

endWithReader();
process.exitCode = (await main(process.argv.slice(2))) ?? process.exitCode ?? 0;

/** Runs a command line; returns its exit code, unless the command has set one itself. */
async function main([first, ...rest]: readonly string[]): Promise<number | undefined> {
  if (first === "--version") return say(`edgerooms ${version()}`);
  if (first === "--help" || (first === "help" && rest.length === 0)) return say(help());
  const command = COMMANDS.find(({ name }) => name === (first === "help" ? rest[0] : first));
  if (!command) {
    const wrong = first === undefined ? "" : `edgerooms: there is no command ${visible(JSON.stringify(first))}.\n`;
    notice(`${wrong}Usage: edgerooms COMMAND [OPTIONS], where COMMAND is ${COMMANDS.map(({ name }) => name).join(", ")}.
edgerooms --help says what they do.`);
    return 2;
  }
  try {
    const words = first === "help" ? undefined : read(command, rest);
    if (!words) return await say(helpOf(command));
    for (const complaint of complaintsOf(process.cwd(), MANIFEST)) notice(`edgerooms: ${complaint}`);
    await command.run(words);
    return undefined;
  } catch (error) {
    notice(`edgerooms: ${visible(error instanceof Error ? error.message : String(error))}`);
    if (!(error instanceof Misuse)) return 1;
    notice(`${usageOf(command)}\nedgerooms ${command.name} --help says more.`);
    return command.misuseExit ?? 2;
  }
}

async function say(text: string): Promise<number> {
  await print(text);
  return 0;
}

function help(): string {
  const width = Math.max(...COMMANDS.map(({ name, takes }) => name.length + takes.length + 1));
  const lines = COMMANDS.map(({ name, takes, summary }) => `  ${`${name} ${takes}`.padEnd(width)}  ${summary}`);
  return `Talks to rooms of edgerooms over their HTTP API.

Usage: edgerooms COMMAND [OPTIONS]

${lines.join("\n")}

  edgerooms COMMAND --help shows the options of a command, edgerooms --version the version.

ROOM is kind/room, or room where the server has one kind. The server is --url or EDGEROOMS_URL, by default
http://localhost:8787; the token is --token or EDGEROOMS_TOKEN. Ends with 0 when it is done, with 1 when the request
failed, with 2 when the command line makes no sense.`;
}

function version(): string {
  return (JSON.parse(readFileSync(MANIFEST, "utf8")) as { version: string }).version;
}
