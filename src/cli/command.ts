/**
 * What a command of `edgerooms` is, how its words on the command line are read, and its help. Knows nothing of what any
 * command does, of HTTP, or of how results look.
 */
import { parseArgs } from "node:util";

/** The command line makes no sense. Its message is for the person who typed it. */
export class Misuse extends Error {}

/** The command could not do what was asked. Its message is one line that says why. */
export class Failure extends Error {}

/** One option of a command. */
export interface Option {
  /** Name of its value in the help. Absent: the option has none. */
  readonly value?: string;
  /** May be given several times. */
  readonly many?: boolean;
  readonly help: string;
}

/** One command. */
export interface Command {
  readonly name: string;
  /** One line of the list of commands. */
  readonly summary: string;
  /** Its positional arguments, as the help shows them. */
  readonly takes: string;
  /** How many there are, at least and at most. */
  readonly count: readonly [least: number, most: number];
  readonly options: Readonly<Record<string, Option>>;
  /** Lines of the help after the options. */
  readonly more?: string;
  /** Exit code of a command line that makes no sense. Default 2. */
  readonly misuseExit?: number;
  /** @throws Misuse, Failure */
  run(words: Words): Promise<void>;
}

/** Options of every command that asks a server. */
export const SERVER: Readonly<Record<string, Option>> = {
  url: { value: "URL", help: "where the rooms are. Default: EDGEROOMS_URL, or http://localhost:8787" },
  token: { value: "TOKEN", help: "your token. Default: EDGEROOMS_TOKEN, which no list of processes shows" },
  json: { help: "print JSON instead of tables" },
};

/** The words of one command line, by their meaning. */
export class Words {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(positionals: readonly string[], values: Readonly<Record<string, unknown>>) {
    this.positionals = positionals;
    this.#values = values;
  }

  /** The value of an option, `undefined` when it was not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  /** All values of an option that may be given several times. */
  list(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Whether an option without a value was given. */
  has(name: string): boolean {
    return this.#values[name] === true;
  }

  /**
   * A number from an option.
   *
   * @throws Misuse when it is not a number, or outside the range
   */
  number(name: string, fallback: number, least: number, most: number): number {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const number = text.trim() === "" ? NaN : Number(text);
    if (number >= least && number <= most) return number;
    throw new Misuse(`--${name} is a number from ${least} to ${most}.`);
  }
}

/**
 * Reads what follows a command's name.
 *
 * @returns `undefined` when only its help is wanted
 * @throws Misuse
 */
export function read(command: Command, args: readonly string[]): Words | undefined {
  const options = Object.fromEntries(
    Object.entries({ ...command.options, help: HELP }).map(([name, { value, many = false }]) => [
      name,
      { type: value === undefined ? ("boolean" as const) : ("string" as const), multiple: many },
    ]),
  );
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    // The rest of Node's message explains dashes, at length.
    throw new Misuse((error as Error).message.replace(/ To specify a positional.*$/s, ""));
  }
  const { values, positionals } = parsed;
  if (values["help"]) return undefined;
  const [least, most] = command.count;
  if (positionals.length < least) throw new Misuse(`${command.name} needs ${command.takes}.`);
  if (positionals.length > most)
    throw new Misuse(`${command.name} takes ${command.takes === "" ? "no arguments" : command.takes}, and no more.`);
  return new Words(positionals, values);
}

const HELP: Option = { help: "print this" };

/** How to write a command: the first line of its help, and the answer to a misuse. */
export function usageOf({ name, takes, options }: Command): string {
  const some = Object.keys(options).length > 0 ? " [OPTIONS]" : "";
  return `Usage: edgerooms ${name}${takes === "" ? "" : ` ${takes}`}${some}`;
}

/** The help of a command. */
export function helpOf(command: Command): string {
  const options = Object.entries({ ...command.options, help: HELP });
  const left = options.map(([name, { value }]) => `--${name}${value === undefined ? "" : ` ${value}`}`);
  const width = Math.max(...left.map((text) => text.length));
  const lines = options.map(([, { help }], i) => `  ${(left[i] ?? "").padEnd(width)}  ${help}`);
  const more = command.more === undefined ? "" : `\n\n${command.more}`;
  return `${command.summary}\n\n${usageOf(command)}\n\n${lines.join("\n")}${more}`;
}
