/**
 * A second reading of docs/reference/protocol.md sections 4 and 5: which messages and frames of a client are right. Shares nothing
 * with the codec, so that the two can be held against each other.
 */

/** The first tool at hand for each rule, rather than the fastest. */
const nested = (value: unknown): number =>
  typeof value === "object" && value !== null
    ? 1 + Math.max(0, ...Object.keys(value).map((key) => nested((value as Record<string, unknown>)[key])))
    : 0;

/**
 * What becomes of a message: for each of its frames whether it is right, or the code with which it is refused whole.
 *
 * @param limit bytes of UTF-8 that a message may have
 */
export function isMessage(text: string, limit: number): boolean[] | "too_large" | "bad_frame" {
  if (Buffer.byteLength(text) > limit) return "too_large";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "bad_frame";
  }
  if (!Array.isArray(value)) return deepest(text) > 32 ? "bad_frame" : [isClientFrame(value)];
  if (value.length === 0 || value.length > 256 || deepest(text) > 33) return "bad_frame";
  return value.map(isClientFrame);
}

/** Depth of a text, keys that come twice included: of those the parsed value only has the last. */
function deepest(text: string): number {
  const bare = text.replaceAll(/"(?:[^"\\]|\\.)*"/gs, "");
  let depth = 0;
  let most = 0;
  for (const c of bare) {
    if (c === "[" || c === "{") most = Math.max(most, ++depth);
    else if (c === "]" || c === "}") depth--;
  }
  return most;
}

const isCount = (value: unknown, from: number) =>
  typeof value === "number" && Number.isInteger(value) && value >= from && value <= 2 ** 53 - 1;
const isIds = (value: unknown) =>
  value === undefined ||
  (Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= 100 &&
    value.every((id) => typeof id === "string" && id.length >= 1 && id.length <= 255));

/** Whether a value is a frame that a client may send. */
export function isClientFrame(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value) || nested(value) > 40) return false;
  const own = new Map(Object.entries(value));
  const has = (name: string) => own.has(name);
  const { ref, offset, method, to } = Object.fromEntries(own) as Record<string, unknown>;
  switch (own.get("type")) {
    case "publish":
      return isCount(ref, 1) && has("data") && isIds(to);
    case "signal":
      return has("data") && isIds(to);
    case "presence":
      return has("data");
    case "call":
      return isCount(ref, 1) && typeof method === "string" && method.length >= 1 && method.length <= 64;
    case "ack":
    case "sync":
      return isCount(offset, 0);
    case "leave":
      return true;
    default:
      return false;
  }
}
