/**
 * When a client of ours acknowledges what it has read. It is the rule of the SDK without the SDK's store:
 * test/unit/bench.test.ts compares the two, message by message. Knows neither sockets nor frames of the room.
 */
import { encode } from "../../src/protocol/codec.ts";

const ACK_EVERY = 640;
const ACK_BYTES = 262_144;

/** What one connection with credit has acknowledged. */
export class Credit {
  #acked = 0;
  /** Length of the messages since the last ack. */
  #length = 0;

  /** A connection begins, and the client has everything up to this offset. */
  begin(offset: number): void {
    this.#acked = offset;
    this.#length = 0;
  }

  /**
   * Counts a message.
   *
   * @param offset the last offset that the client has, this message included
   * @param heartbeat the offset of a heartbeat in this message, 0 for none
   * @param length the length of this message in UTF-16 units
   * @returns the `ack` frame that is due now, or `undefined`
   */
  read(offset: number, heartbeat: number, length: number): string | undefined {
    const unacked = offset - this.#acked;
    this.#length = unacked > 0 ? this.#length + length : 0;
    if (unacked === 0) return undefined;
    const isDue = heartbeat > offset || unacked >= ACK_EVERY || this.#length >= ACK_BYTES;
    if (!isDue) return undefined;
    this.begin(offset);
    return encode({ type: "ack", offset });
  }
}
