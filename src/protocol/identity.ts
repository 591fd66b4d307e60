/** What user ids and shared secrets are made of: the one rule of the gate that reads tokens and of the command that makes them. */

/**
 * What is not printed, in ids and names that end up in log lines and in front of other members: controls, and what is
 * invisible, which would make two users look like one.
 */
export const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Cf}\u2028\u2029]/u;

/** Bytes of a shared secret, at least: RFC 7518 section 3.2 wants a key as long as the hash. */
export const MIN_SECRET_BYTES = 32;
