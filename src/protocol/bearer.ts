/**
 * A token as a WebSocket subprotocol, for clients that cannot set headers. A JWT travels as it is; other tokens may have
 * characters that no subprotocol may have. Knows nothing of what is in a token.
 */
import { BEARER_PREFIX } from "./frames.ts";

/** Before a token whose other characters are percent-encoded. */
const ENCODED = "bearer-encoded.";

/** The subprotocol that carries a token. */
export function bearerProtocol(token: string): string {
  // Parentheses are the only characters that encodeURIComponent leaves and a subprotocol may not have.
  const encoded = encodeURIComponent(token).replaceAll("(", "%28").replaceAll(")", "%29");
  return (encoded.includes("%") ? ENCODED : BEARER_PREFIX) + encoded;
}

/** The token of the first of these subprotocols that carries one, empty when it is malformed; `undefined` when none does. */
export function tokenIn(protocols: readonly string[]): string | undefined {
  for (const protocol of protocols) {
    if (protocol.startsWith(BEARER_PREFIX)) return protocol.slice(BEARER_PREFIX.length);
    if (!protocol.startsWith(ENCODED)) continue;
    try {
      return decodeURIComponent(protocol.slice(ENCODED.length));
    } catch {
      return "";
    }
  }
  return undefined;
}
