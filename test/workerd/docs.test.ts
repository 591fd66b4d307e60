/** The transcripts of docs/reference/protocol.md: every scenario is run, and must say what the document says it says. */
import { afterAll, expect, it, vi } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { PING, PONG } from "../../src/protocol/frames.ts";
import { MAX_MESSAGE_BYTES } from "../../src/protocol/limits.ts";
// @ts-expect-error Only the bundler knows `?raw`: the file as text.
import raw from "../../docs/reference/protocol.md?raw";
import { Client } from "../support/client.ts";
import { eventually } from "../support/patience.ts";
import { TestedRoom } from "../support/room.ts";
import { Run, scenarios } from "../support/scenarios.ts";

const doc = String(raw);

/** Messages by who sent or got them, such as `ann >` and `ann <`, in their order. */
type Said = Map<string, unknown[]>;

const sent = new Map<Client, unknown[]>();
const send = vi.spyOn(Client.prototype, "send").mockImplementation(function (this: Client, ...frames) {
  const message = frames.length === 1 ? frames[0] : frames;
  sent.set(this, [...(sent.get(this) ?? []), message]);
  this.socket.send(JSON.stringify(message));
});
afterAll(() => send.mockRestore());

/** The lines of a transcript that are frames. */
function documented(name: string): Said {
  const [, lines = ""] = new RegExp(`^### Transcript: ${name}\n+\`\`\`text\n(.*?)^\`\`\`$`, "ms").exec(doc) ?? [];
  const found: Said = new Map();
  // A line that begins with a blank goes on with the message of the line before.
  for (const [, who = "", message = ""] of lines.replace(/\n +/g, "").matchAll(/^([\w-]+ [<>]) ([[{].*)$/gm)) {
    found.set(who, [...(found.get(who) ?? []), JSON.parse(message)]);
  }
  return found;
}

/** What a run has said so far. Not the pongs: whether the last one has come by now is nobody's promise. */
function said(run: Run): Said {
  return new Map(
    [...run.clients].flatMap(([who, client]) => {
      const got = client.messages.filter((message) => /^[[{]/.test(message)).map((text): unknown => JSON.parse(text));
      const ours = sent.get(client);
      return [[`${who} <`, got] as const, ...(ours ? [[`${who} >`, ours] as const] : [])];
    }),
  );
}

/** What differs from run to run as names, in the order in which it comes up. */
function comparable(all: Said): string {
  const names = new Map<unknown, string>();
  const ordered = [...all].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(
    ordered,
    (key, value: unknown) => {
      if (key === "at" || key === "expires" || key === "now") return "a moment";
      if (key !== "session" && key !== "epoch") return value;
      if (!names.has(value)) names.set(value, `${key} ${names.size}`);
      return names.get(value);
    },
    1,
  );
}

/** Waits until every connection has what the room sent so far: the answer to a ping comes after it. */
async function caughtUp({ room, clients }: Run): Promise<void> {
  await room.stub.members();
  for (const client of clients.values()) {
    if (client.socket.readyState !== WebSocket.OPEN) continue;
    const pongs = () => client.messages.filter((message) => message === PONG).length;
    const before = pongs();
    client.socket.send(PING);
    await client.until(() => pongs() > before || client.closed !== undefined, "the answer to a ping");
  }
}

it("the document has a transcript for every scenario, and no other", () => {
  const names = [...doc.matchAll(/^### Transcript: (.+)$/gm)].map(([, name]) => name);
  expect(names).toEqual(Object.keys(scenarios));
});

it.each(Object.entries(scenarios))("%s runs as its transcript says", async (name, play) => {
  const room = new TestedRoom(name === "reset" ? "small" : "relay");
  room.stopClock();
  // What an event causes may still be on its way to those for whom the scenario does not wait.
  const run: Run = new Run(room, () => caughtUp(run));
  await play(run);
  await eventually(() => expect(comparable(said(run))).toBe(comparable(documented(name))));
});

it("what clients send in the transcripts is well-formed", () => {
  const messages = Object.keys(scenarios).flatMap((name) => [...documented(name)]);
  const texts = messages.flatMap(([who, all]) => (who.endsWith(">") ? all.map((one) => JSON.stringify(one)) : []));
  expect(texts).not.toHaveLength(0);
  const frames = texts.flatMap((text) => decode(text, MAX_MESSAGE_BYTES));
  expect(frames.filter((frame) => frame.type === "malformed")).toEqual([]);
});
