/**
 * The page of react.test.ts: two components that ask for the same room, under StrictMode. The query says which, and the user.
 * Written without DOM types: those would be in force for the whole program, and the Worker has its own.
 */
import { createElement as h, StrictMode, useEffect, useRef, useState } from "react";
import { createRoot, type Container } from "react-dom/client";
import {
  RoomProvider,
  useMembers,
  usePending,
  usePublications,
  useRoom,
  useRoomEvent,
  useSelf,
  useSignal,
  useSnapshot,
} from "../../../src/react/react.ts";
import type { RoomHandle, RoomOptions } from "../../../src/react/react.ts";

interface Chat {
  publication: string;
  signal: { n: number };
  presence: { mood: string };
}

const { document, location } = globalThis as unknown as {
  document: { getElementById(id: string): Container };
  location: { search: string };
};
const query = new URLSearchParams(location.search);
const url = query.get("url") ?? "";
const tokens = new Map([...query].filter(([key]) => key.startsWith("token.")));

/** How often a token was asked for, once for each connection; and how many farewells were acknowledged. */
const counts = Object.assign(globalThis, { asked: 0, said: 0 });

function optionsFor(user: string): RoomOptions {
  // A new function at every render, as people write it.
  const token = async () => {
    counts.asked++;
    return tokens.get(`token.${user}`) ?? "";
  };
  return { room: "react", user, token };
}

function Talk({ user }: { user: string }) {
  const room = useRoom<Chat>(url, optionsFor(user));
  const items = usePublications(room, { limit: 3 });
  return h(
    "section",
    { id: "talk" },
    h("p", { id: "talk-state" }, room.state.name),
    h("p", { id: "items" }, items.map(({ offset, by, data }) => `${offset} ${by} ${data}`).join("; ")),
    h("button", { id: "say", onClick: () => void room.publish("from the page") }, "Say"),
    h(Mood, { room }),
  );
}

/** A child whose effects run before those of the component that joins. */
function Mood({ room }: { room: RoomHandle<Chat> }) {
  const { setPresence } = room;
  useEffect(() => setPresence({ mood: "good" }), [setPresence]);
  return null;
}

function People({ user }: { user: string }) {
  const room = useRoom<Chat>(url, optionsFor(user));
  const members = useMembers(room);
  const signal = useSignal(room);
  const sum = useRef(0);
  useSignal(room, ({ data }) => {
    sum.current += data.n;
  });
  const [reset, setReset] = useState("");
  useRoomEvent(room, "reset", ({ reason }) => setReset(reason));
  return h(
    "section",
    { id: "people" },
    h("p", { id: "people-state" }, room.state.name),
    h("p", { id: "members" }, members.map(({ id, data }) => `${id}:${data?.mood ?? ""}`).join(", ")),
    h("p", { id: "signal" }, signal ? `${signal.by} ${signal.data.n} of ${sum.current}` : ""),
    h("p", { id: "reset" }, reset),
  );
}

/** Below a provider, whose address is spelled another way: the same connection. */
function Below() {
  const room = useRoom<Chat>();
  const ids = useMembers(room, (members) => members.map(({ id }) => id));
  const moods = useMembers(room, (members) => ({
    of: members.map(({ id, data }) => ({ id, mood: data?.mood ?? "" })),
  }));
  const pending = usePending(room).map(({ data }) => data);
  return h(
    "section",
    { id: "below" },
    h("p", { id: "ids" }, ids.join(", ")),
    h("p", { id: "moods" }, moods.of.map(({ id, mood }) => `${id} ${mood}`).join(", ")),
    h("p", { id: "self" }, useSelf(room)?.data?.mood),
    h("p", { id: "snapshot" }, useSnapshot(room)?.reason),
    h("p", { id: "pending" }, pending.join(", ")),
  );
}

/** Publishes, and all components go, in one handler. */
function Farewell({ go }: { go: () => void }) {
  const room = useRoom<Chat>();
  const say = () => {
    void room.publish("farewell").then(() => counts.said++);
    go();
  };
  return h("button", { id: "farewell", onClick: say }, "Farewell");
}

function App() {
  const [shown, setShown] = useState(true);
  const [generation, setGeneration] = useState(0);
  const [user, setUser] = useState("ann");
  return h(
    "main",
    null,
    h("button", { id: "toggle", onClick: () => setShown(!shown) }, "Toggle"),

    h("button", { id: "remount", onClick: () => setGeneration(generation + 1) }, "Remount"),
    h("button", { id: "switch", onClick: () => setUser("cem") }, "Switch user"),
    h("p", { id: "generation" }, generation),
    shown && h(Talk, { key: `talk ${generation}`, user }),
    shown && h(People, { key: `people ${generation}`, user }),
    shown &&
      h(
        RoomProvider,
        { key: `below ${generation}`, url: `${url}/`, ...optionsFor(user) },
        h(Below),
        h(Farewell, { go: () => setShown(false) }),
      ),
  );
}

createRoot(document.getElementById("root")).render(h(StrictMode, null, h(App)));
