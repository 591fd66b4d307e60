/** The package entry `edgerooms`: what a Worker needs to define rooms and serve them. */
export { createApp } from "./http/app.ts";
export type { AppOptions, Caller } from "./http/gate/options.ts";
export type { Jurisdiction } from "./ops/jurisdiction.ts";
export type { Kind, LocationHint, RelayBinding, Relays, RoomBinding, SomeJurisdictions } from "./http/gate/places.ts";
export type { RoomAddress } from "./http/request.ts";
export { jwt, type Authenticator, type JwtOptions, type Verified } from "./http/gate/auth.ts";
export type { Pace } from "./http/gate/buckets.ts";
export type { Limits as RequestLimits } from "./http/gate/limits.ts";
export { Directory } from "./ops/directory.ts";
export type { LiveRoom } from "./protocol/api.ts";
export type { Alert } from "./ops/failures.ts";
export { queue } from "./ops/queue.ts";
export type { Secret, SecretBinding } from "./ops/secrets.ts";
export { webhook, type WebhookOptions, type WebhookSecrets } from "./ops/webhook.ts";
export { codes, type Code, type CodeName, type NextStep, type Severity } from "./protocol/codes.ts";
export type { ClientFrame, FrameError, Json, Limits, Member, Publication, ServerFrame } from "./protocol/frames.ts";
export type { Data, RoomTypes } from "./protocol/room-types.ts";
export type { Credentials } from "./room/admission.ts";
export {
  defineRoom,
  reject,
  type Addressed,
  type Definition,
  type Duration,
  type Grant,
  type Me,
  type Method,
  type Outcome,
  type PresenceKind,
  type Rejection,
  type RoomContext,
  type RoomDefinition,
  type Submitted,
} from "./room/definition.ts";
export { OutletRefused, type Batch, type OutEvent, type OutEventType, type Outlet } from "./room/outlet.ts";
export { Relay } from "./relay.ts";
export { Room } from "./room.ts";
export type { Recording } from "./room/runtime/recording.ts";
export type { Present } from "./room/store/members.ts";
