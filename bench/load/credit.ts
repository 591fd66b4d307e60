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
   * @param isAsked a heartbeat in this message is ahead of the client, or says that the room waits for an `ack`
   * @param length the length of this message in UTF-16 units
   * @returns the `ack` frame that is due now, or `undefined`
   */
  read(offset: number, isAsked: boolean, length: number): string | undefined {
    const unacked = offset - this.#acked;
    this.#length = unacked > 0 ? this.#length + length : 0;
    if (unacked === 0) return undefined;
    const isDue = isAsked || unacked >= ACK_EVERY || this.#length >= ACK_BYTES;
    if (!isDue) return undefined;
    this.begin(offset);
    return encode({ type: "ack", offset });
  }
}
