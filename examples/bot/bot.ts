/**
 * A bot in Node 22 or newer that answers "!time". It keeps its place in a file: what was said while it was off, it
 * answers when it is back. To run it, in the folder above `examples`, with `npm start` running elsewhere:
 *
 *     npm run build
 *     npx node examples/bot/bot.ts http://localhost:8787 chat
 *
 * Ctrl+C stops it. The chat of examples/chat is a good place to talk to it.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type SessionStore } from "edgerooms/client";

const [url = "http://localhost:8787", name = "chat"] = process.argv.slice(2);

const file = join(tmpdir(), `edgerooms-bot-${name}.json`);
const storage: SessionStore = {
  get: () => (existsSync(file) ? readFileSync(file, "utf8") : undefined),
  set: (_key, value) => writeFileSync(file, value),
  delete: () => rmSync(file, { force: true }),
};

const room = connect<{ publication: string }>(url, { room: name, token: getToken, storage });

room.on("state", (state) => console.log(state.name, "reason" in state ? state.reason : ""));
room.on("reset", ({ reason, offset }) => console.log(`starting at ${offset}: ${reason}`));
room.on("resumed", ({ offset }) => console.log(`going on after ${offset}`));
room.on("publication", ({ by, data, at }) => {
  console.log(`${by}: ${data}`);
  if (by !== "bot" && data === "!time") void answer(`You asked at ${new Date(at).toISOString()}.`);
});

async function answer(text: string): Promise<void> {
  try {
    await room.publish(text);
  } catch (error) {
    console.error("not sent:", error);
  }
}

/** Your bot gets a token where your users do, or signs its own. */
async function getToken(): Promise<string> {
  const response = await fetch(new URL("/dev/token", url), { method: "POST", body: JSON.stringify({ sub: "bot" }) });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  const { token } = (await response.json()) as { token: string };
  return token;
}

// Not leave(): the session stays, so that the next start resumes.
process.once("SIGINT", () => room.close());
