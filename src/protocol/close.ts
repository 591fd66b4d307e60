/** The manners of closing a WebSocket: which codes may be sent, how long a reason may be. */

/** Bytes of UTF-8 that a close reason can have; RFC 6455 leaves 125 to a control frame and 2 of them to the code. */
const MAX_REASON_BYTES = 123;

/** A reason cut to what a close frame can carry, never in the middle of a character. */
export function cutReason(reason: string): string {
  let bytes = 0;
  let kept = "";
  for (const character of reason) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > MAX_REASON_BYTES) break;
    kept += character;
  }
  return kept;
}

/**
 * The code to answer a close with: the peer's own where it may be sent, else 1000. Peers report codes that must never
 * be in a frame (1005, 1006, 1015) and the runtime passes on any number at all.
 */
export function answerCode(code: number): number {
  const standard = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
  return standard || (code >= 3000 && code <= 4999) ? code : 1000;
}

/** What of a WebSocket closing needs; also the one in the Worker that refuses. */
export interface Closable {
  close(code?: number, reason?: string): void;
}

/** Closes a socket that may be closed already. */
export function closeQuietly(socket: Closable, code: number, reason: string): void {
  try {
    socket.close(answerCode(code), cutReason(reason));
  } catch {
    // Closed by the peer or by us a moment ago: what was wanted is so.
  }
}
