/**
 * A chat in a browser, without a framework. To run it, in the folder above `examples`:
 *
 *     npm run build
 *     npx esbuild examples/chat/chat.ts examples/chat/index.html --bundle --format=esm --loader:.html=copy \
 *       --outdir=dist/examples/chat
 *     npm start -- --assets dist/examples/chat
 *
 * Then open http://localhost:8787/?user=ann, and ?user=bob in another window.
 */
import { connect, RoomError, type Publication } from "edgerooms/client";

interface Chat {
  publication: string;
  /** What a room gives by default: the last publications. */
  snapshot: (Publication & { data: string })[];
}

const user = new URLSearchParams(location.search).get("user") ?? `guest-${crypto.randomUUID().slice(0, 4)}`;

const room = connect<Chat>("/", {
  room: "chat",
  token: getToken,
});

room.on("reset", ({ data }) => {
  list.replaceChildren();
  for (const { by, data: text } of data ?? []) show(by, text);
});
room.on("publication", ({ by, data }) => show(by, data));
room.on("members", (members) => (element("members").textContent = members.map(({ id }) => id).join(", ")));
room.on("state", (state) => {
  const seconds = "delay" in state ? ` (again in ${Math.ceil(state.delay / 1_000)} s)` : "";
  element("state").textContent = `${user}: ${state.name}${seconds}`;
});

const list = element("messages");
const form = element("form") as HTMLFormElement;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = new FormData(form).get("text");
  form.reset();
  if (typeof text === "string") void say(text);
});

async function say(text: string): Promise<void> {
  try {
    await room.publish(text);
  } catch (error) {
    const why = error instanceof RoomError ? error.code : String(error);
    show(null, `Not sent (${why}): ${text}`);
  }
}

/** Where users log in. `POST /dev/token` takes the place of that while ENVIRONMENT is "development". */
async function getToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST", body: JSON.stringify({ sub: user }) });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  const { token } = (await response.json()) as { token: string };
  return token;
}

function show(by: string | null, text: string): void {
  const item = document.createElement("li");
  item.textContent = `${by ?? "room"}: ${text}`;
  list.append(item);
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}
