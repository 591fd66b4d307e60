/** A component with the hooks. */
import { useMembers, usePublications, useRoom, useSignal, type RoomOptions } from "edgerooms/react";

interface Chat {
  publication: { readonly text: string };
}

export function Page({ user }: { user?: string | undefined }) {
  const options: RoomOptions = { room: "chat/lobby", token: async () => "none", user };
  const room = useRoom<Chat>("https://rooms.example.com", options);
  const publications = usePublications(room, { limit: undefined });
  useSignal(room, ({ data }) => void data);
  return (
    <button onClick={() => void room.publish({ text: "hello" })} title={room.state.name}>
      {useMembers(room).length}: {publications.map(({ data }) => data.text).join()}
    </button>
  );
}
