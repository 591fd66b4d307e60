/** Ids that the server mints: sessions and epochs. */

/** 128 random bits as 22 characters that are safe in a URL. */
export function mintId(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toBase64({ alphabet: "base64url", omitPadding: true });
}
