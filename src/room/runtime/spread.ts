/**
 * When a room is so large that new connections go to relays, and to how many of each region. A room that is spread stays so
 * until it is half as large: members that come and go must not move it to and fro.
 */
import type { Admission } from "../admission.ts";
import type { Regions } from "../relaying.ts";
import type { RoomState } from "../store/state.ts";

/** How full relays are to be before there is another, as a share of what each takes. */
const FILLED = 0.8;

/** The rule of one room. */
export class SpreadRule {
  #isSpread = false;

  /** Where a connection is to be opened instead of here; `undefined`: here. */
  regionsFor({ spread }: Admission, state: RoomState | undefined): Regions | undefined {
    // A list of members for everyone is what a large room cannot have: it stays one object.
    if (!spread || !state || state.definition.presence === "list") return undefined;
    const { byRegion, isAttached } = state.remote;
    const total = [...byRegion.values()].reduce((sum, n) => sum + n, state.connections.size);
    const isUsed = this.#isSpread || isAttached;
    this.#isSpread = total >= (isUsed ? spread.from / 2 : spread.from);
    if (!this.#isSpread) return undefined;
    const need = (connections: number) => Math.max(1, Math.ceil(connections / (FILLED * spread.each)));
    return Object.fromEntries([...byRegion].map(([region, connections]) => [region, need(connections)]));
  }
}
