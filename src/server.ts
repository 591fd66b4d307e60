/** The package entry `edgerooms`: what a Worker needs to define rooms and serve them. */
export { createApp, type AppOptions, type Caller, type RoomAddress } from "./http/app.ts";
export { jwt, type Authenticator, type JwtOptions, type Verified } from "./http/auth.ts";
export { codes, type Code, type CodeName, type NextStep } from "./protocol/codes.ts";
export type { ClientFrame, FrameError, Json, Limits, Member, Publication, ServerFrame } from "./protocol/frames.ts";
export type { Credentials } from "./room/admission.ts";
export {
  defineRoom,
  reject,
  type Definition,
  type Duration,
  type Grant,
  type Me,
  type Method,
  type Outcome,
  type Rejection,
  type RoomContext,
  type RoomDefinition,
} from "./room/definition.ts";
export { Room, type Present } from "./room/object.ts";
