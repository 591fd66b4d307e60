/** The guards of large rooms: what operators and members see of them. */
import type { Guard } from "./guard.ts";

export const large: readonly Guard[] = [
  {
    name: "a relay compares its sessions with the room's, however often it is told something",
    file: "src/room/runtime/upstream.ts",
    text: "now - this.#answeredAt >= AGREE_MS",
    without: "false",
    tests: ["unit/relay-bounds.test.ts"],
  },
  {
    name: "snapshots in one answer to a relay have an end",
    file: "src/room/core/relayed.ts",
    text: "if (reset) allowance.left -= JSON.stringify(reset.data).length;",
    without: "",
    tests: ["unit/relay-bounds.test.ts"],
  },
  {
    name: "replies in one answer to a relay have an end",
    file: "src/room/core/relayed.ts",
    text: "allowance.left -= length;",
    without: "void length;",
    tests: ["unit/relay-bounds.test.ts"],
  },
  {
    name: "a drain counts the connections at relays",
    file: "src/room/core/commands.ts",
    text: "connections: state.connections.size + state.remote.connected",
    without: "connections: state.connections.size",
    tests: ["unit/large-views.test.ts", "workerd/relays-operator.test.ts"],
  },
  {
    name: "a list of a large room has an end",
    file: "src/room/core/views.ts",
    text: 'const { after = "", limit = MAX_LIST_PAGE } = paged;',
    without: 'const { after = "", limit = Infinity } = paged;',
    tests: ["unit/large-views.test.ts"],
  },
  {
    name: "a page of sessions begins in the middle of a user's",
    file: "src/room/store/remote.ts",
    text: "WHERE (user, session) > (?, ?)",
    without: "WHERE (user > ?1 OR ?2 IS NULL)",
    tests: ["unit/large-views.test.ts"],
  },
  {
    name: "the command stops at a list of members that leads back to itself",
    file: "src/cli/listing.ts",
    text: "page.next !== undefined && page.next === after",
    without: "false",
    tests: ["unit/cli-listing.test.ts"],
  },
  {
    name: "a signal for those who are near goes to no relay",
    file: "src/room/runtime/pusher.ts",
    text: " && !shared.scope",
    without: "",
    tests: ["unit/near.test.ts"],
  },
  {
    name: "a relay hands out what a hook made of a signal for those who are near",
    file: "src/room/core/relay.ts",
    text: 'turn.signal(signal, "near")',
    without: "void signal",
    tests: ["unit/near.test.ts"],
  },
  {
    name: "a relay asks its room about signals that go through a hook",
    file: "src/room/core/frames.ts",
    text: "frame.scope && !hasSignalHook",
    without: "frame.scope",
    tests: ["unit/near.test.ts"],
  },
];
