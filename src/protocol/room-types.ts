/**
 * The types by which a program describes the data of one kind of room, alike for `defineRoom` on the server and for
 * `connect` in a client. They are what the program says: neither end checks data against them. Types only.
 */
import type { Json, Member, Publication } from "./frames.ts";

/** The data of one kind of room, by where it travels. What you leave out is any JSON. */
export interface RoomTypes {
  publication?: unknown;
  signal?: unknown;
  presence?: unknown;
  snapshot?: unknown;
  /** What methods are called with. */
  call?: unknown;
  /** What the room's own timers carry; no client sees it. */
  timer?: unknown;
}

/** One kind of data of a room; any JSON where the program does not say. */
export type Of<T extends RoomTypes, K extends keyof RoomTypes> = T extends Record<K, infer V> ? V : Json;
/** A publication with the room's own data. */
export type Typed<T extends RoomTypes> = Omit<Publication, "data"> & { readonly data: Of<T, "publication"> };
/** A member with the room's own presence data. */
export type Person<T extends RoomTypes> = Omit<Member, "data"> & { readonly data?: Of<T, "presence"> };

/**
 * What a program may hand over where it has not said more: whatever JSON can carry, interfaces included. Not promises,
 * functions, maps, sets, cursors and bytes, which JSON would turn into something else.
 */
export type Data = Json | readonly Data[] | Plain;

/** An object without what those have that JSON cannot carry. */
type Plain = object & {
  readonly then?: never;
  readonly bind?: never;
  readonly [Symbol.iterator]?: never;
};

/** One kind of data on its way out of the program. */
export type Handed<T extends RoomTypes, K extends keyof RoomTypes> = T extends Record<K, infer V> ? V : Data;
