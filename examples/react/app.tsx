/**
 * The chat with React: publications, who is here, who is typing. To run it, in the folder above `examples`:
 *
 *     npm run build
 *     npx esbuild examples/react/app.tsx examples/react/index.html --bundle --format=esm --jsx=automatic \
 *       --loader:.html=copy --define:process.env.NODE_ENV='"development"' --outdir=dist/examples/react
 *     npm start -- --assets dist/examples/react
 *
 * Then open http://localhost:8787/?user=ann, and ?user=bob in another window.
 */
import { RoomProvider, useMembers, usePublications, useRoom, useSignal } from "edgerooms/react";
import { StrictMode, useState, type FormEvent } from "react";
import { createRoot } from "react-dom/client";

interface Chat {
  publication: string;
  signal: "typing";
}

const user = new URLSearchParams(location.search).get("user") ?? "guest";

function Messages() {
  const room = useRoom<Chat>();
  const items = usePublications(room, { limit: 50 });
  const [failure, setFailure] = useState("");

  async function send(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget;
    const text = new FormData(form).get("text");
    form.reset();
    if (typeof text !== "string") return;
    try {
      await room.publish(text);
      setFailure("");
    } catch (error) {
      setFailure(`Not sent: ${String(error)}`);
    }
  }

  return (
    <main>
      <h1>Chat</h1>
      <ol aria-live="polite">
        {items.map(({ offset, by, data }) => (
          <li key={offset}>
            {by ?? "room"}: {data}
          </li>
        ))}
      </ol>
      <form onSubmit={(event) => void send(event)}>
        <label>
          Message <input name="text" autoComplete="off" required onChange={() => room.signal("typing")} />
        </label>
        <button>Send</button>
      </form>
      {failure && <p role="alert">{failure}</p>}
    </main>
  );
}

function People() {
  const room = useRoom<Chat>();
  const ids = useMembers(room, (members) => members.map(({ id }) => id));
  const typing = useSignal(room);
  return (
    <aside>
      <p role="status">
        {user}: {room.state.name}
      </p>
      <p>Here: {ids.join(", ")}</p>
      {typing && <p>Typed last: {typing.by}</p>}
    </aside>
  );
}

/** Where users log in. `POST /dev/token` takes the place of that while ENVIRONMENT is "development". */
async function getToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST", body: JSON.stringify({ sub: user }) });
  if (!response.ok) throw new Error(`no token: ${response.status}`);
  const { token } = (await response.json()) as { token: string };
  return token;
}

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <RoomProvider url="/" room="chat" user={user} token={getToken}>
      <Messages />
      <People />
    </RoomProvider>
  </StrictMode>,
);
