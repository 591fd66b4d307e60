/** Seeded mistakes in what a room and its relays do for each other: each must be found in a room with relays. */
import type { Mutation } from "./mutations.ts";

/** The mistakes. */
export const ofRelays: readonly Omit<Mutation, "relays">[] = [
  {
    name: "a relay takes what it is told of a history that it does not know",
    file: "src/room/core/relay.ts",
    from: 'const isOurs = "rules" in mirrored || mirrored.epoch === state.epochs.current;',
    to: 'const isOurs = mirrored.epoch !== "" || state.epochs.current === "";',
  },
  {
    name: "a relay goes on after what a restore has undone",
    file: "src/room/runtime/exchange.ts",
    from: "  if (at && epochs.includes(at, upto) !== true) return undefined;\n",
    to: "  if (at && epochs.includes(at, upto) !== true) return Math.min(at.offset, upto);\n",
  },
  {
    name: "room and relay count other sessions, and do not care",
    file: "src/room/core/relayed.ts",
    from: "const isUnsure = dismissals.length === 0 && remote.digest(id) !== up.digest;",
    to: 'const isUnsure = dismissals.length === 0 && remote.digest(id) === "";',
  },
  {
    name: "members of relays do not learn of another epoch",
    file: "src/room/core/relay.ts",
    from: 'if (state.connections.size > 0) turn.broadcast({ type: "epoch", epoch });',
    to: 'if (state.connections.size < 0) turn.broadcast({ type: "epoch", epoch });',
  },
  {
    name: "an answer that a relay cannot take is forgotten",
    file: "src/room/runtime/upstream.ts",
    from: "    if (!result.ok) throw new Error(`an answer of the room could not be taken: ${result.code}`);\n",
    to: "    if (!result.ok) return;\n",
  },
  {
    name: "what an exchange that failed has asked is forgotten",
    file: "src/room/runtime/upstream.ts",
    from: "    this.#frames = [...again, ...this.#frames];\n",
    to: "    this.#frames = again.slice(again.length);\n",
  },
  {
    name: "a relay that wakes does not know how far its members are",
    file: "src/room/runtime/effects.ts",
    from: "...(state.mirror?.fed && { fed: state.mirror.fed }),",
    to: "...(state.mirror?.fed && { fed: { ...state.mirror.fed, offset: state.mirror.fed.offset + 1 } }),",
  },
];
