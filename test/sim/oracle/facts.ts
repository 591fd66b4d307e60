/** What a room promises in numbers, told to the oracle by the definition of the room. */

/** Offsets that a room feeds a connection with credit beyond its last ack, as the protocol says. */
export const CREDIT_ITEMS_TOLD = 1_024;

/** The promises of one room in numbers; times in ms. */
export interface Facts {
  readonly retain: number;
  readonly grace: number;
  readonly resumeWindow: number;
  readonly heartbeat: { readonly every: number; readonly idle: number; readonly misses: number };
  readonly maxConnectionsPerUser: number;
  /** Whether the room has hooks that publish, reject and throw. */
  readonly hasHooks: boolean;
  /** Whether events go out of the room. */
  readonly hasEvents: boolean;
  /** What members learn of one another. */
  readonly presence: "list" | "count" | "off";
  /** Whether members may be with relays. Those are only ever late: none knows what has been said elsewhere. */
  readonly hasRelays: boolean;
}

/** What the hooks of a room make of something that a member signals or shows; by a number that is in it. */
export function verdictOn(n: number): "rejected" | "broken" | "rewritten" | "let be" {
  return (["rejected", "broken", "rewritten"] as const)[n % 10] ?? "let be";
}
