/**
 * Signatures of webhooks as Standard Webhooks 1.0 has them (standardwebhooks.com), symmetric: what a receiver checks
 * with any library of that name. Knows nothing of what is sent.
 */

const PREFIX = "whsec_";
/** Bytes of a secret, as the specification has them. */
const MIN_SECRET = 24;
const MAX_SECRET = 64;

/** Headers that name the message, say when it was sent, and prove that the sender knows the secret. */
export type SignatureHeaders = Readonly<Record<"webhook-id" | "webhook-timestamp" | "webhook-signature", string>>;

/** A secret as text, `whsec_` and base64, as bytes. Throws a TypeError that names it, and does not repeat it. */
export function secretBytes(secret: string, name = "the secret of a webhook"): Uint8Array<ArrayBuffer> {
  const bytes = secret.startsWith(PREFIX) ? decode(secret.slice(PREFIX.length)) : undefined;
  if (!bytes || bytes.length < MIN_SECRET || bytes.length > MAX_SECRET) {
    throw new TypeError(`${name} is ${PREFIX} and ${MIN_SECRET} to ${MAX_SECRET} bytes in base64`);
  }
  return bytes;
}

/**
 * Signs one try to deliver a message, with each of the secrets: a receiver that knows one of them takes it, so that both
 * ends can change their secret without losing a message.
 *
 * @param secrets the current one, and during a rotation the previous one
 * @param id the same for every try
 * @param now when this try is made, in ms since the epoch: receivers refuse messages that are minutes old
 * @throws TypeError without a secret: nothing that is meant to be signed goes out unsigned
 */
export async function sign(
  secrets: readonly string[],
  id: string,
  now: number,
  body: string,
): Promise<SignatureHeaders> {
  if (secrets.length === 0) throw new TypeError("a webhook needs a secret");
  const timestamp = String(Math.floor(now / 1_000));
  const signed = new TextEncoder().encode(`${id}.${timestamp}.${body}`);
  const signatures = await Promise.all(secrets.map(async (secret) => signatureOf(secretBytes(secret), signed)));
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures.join(" ") };
}

async function signatureOf(secret: Uint8Array<ArrayBuffer>, signed: Uint8Array): Promise<string> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  return `v1,${new Uint8Array(await crypto.subtle.sign("HMAC", key, signed)).toBase64()}`;
}

function decode(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return undefined;
  }
}
