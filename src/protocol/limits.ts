/**
 * The numbers of `edgerooms.v1` that more than one side must agree on: the client, the room and the HTTP API. Numbers that
 * only one file uses stay there. Knows nothing of frames; docs/reference/protocol.md has the same table, and a test compares them.
 */

/** Largest message a deployer can allow, in bytes of UTF-8. A stored row must stay under the platform's 2 MB. */
export const MAX_MESSAGE_BYTES = 1_048_576;
/** Frames in one message (an array), at most. */
export const MAX_BATCH = 256;
/** Nesting of arrays and objects in a message, at most; keeps JSON.stringify far from the end of the stack. */
export const MAX_DEPTH = 32;
/** User ids in `to`, at most. */
export const MAX_RECIPIENTS = 100;
/** Length of a user id (the token's `sub`) in UTF-16 units, at most. RFC 7519 sets no limit; OpenID Connect says 255. */
export const MAX_USER_ID = 255;
/** Length of a member's name in UTF-16 units, at most. */
export const MAX_USER_NAME = 128;
/** Bytes of UTF-8 of a member's presence data, at most: every welcome carries the data of all members. */
export const MAX_PRESENCE_BYTES = 2_048;
/** Refs of a session whose offsets are remembered after their publications left the log. */
export const REMEMBERED_REFS = 256;
/** One publication as it is stored and travels, in bytes: the largest message, and what the room adds to it. */
export const MAX_ITEM_BYTES = MAX_MESSAGE_BYTES + 32_768;
