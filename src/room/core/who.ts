/** Answers who is in a room, page by page: where there are too many to be told to everyone. */
import type { Json } from "../../protocol/frames.ts";
import { MAX_USER_ID } from "../../protocol/limits.ts";
import { page } from "../store/members.ts";
import type { RoomState } from "../store/state.ts";

/** Members of a page, at most and where the caller does not say. */
const MAX_PAGE = 100;

/** A page of members by id in order of code points, or a sentence that says why there is none. */
export function who(state: RoomState, asked: Json): Json | string {
  if (state.definition.presence === "off") return "the members of this room are shown to nobody";
  const { after = "", limit = MAX_PAGE } = (typeof asked === "object" && asked !== null ? asked : {}) as {
    after?: unknown;
    limit?: unknown;
  };
  if (typeof after !== "string" || after.length > MAX_USER_ID) return "after is the id of a user";
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE)
    return `limit is a number from 1 to ${MAX_PAGE}`;
  const members = page(state, after, limit);
  const last = members.length === limit ? members.at(-1) : undefined;
  return { members: members as unknown as Json, count: state.population, ...(last && { next: last.id }) };
}
