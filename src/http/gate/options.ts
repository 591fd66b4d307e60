/** What the deployer's code hands to {@link createApp}: types only. Applied by the gate and the app. */
import type { Context } from "hono";
import type { Alert } from "../../ops/failures.ts";
import type { Credentials } from "../../room/admission.ts";
import type { RoomAddress } from "../request.ts";
import type { Authenticator, Verified } from "./auth.ts";
import type { LimitOptions } from "./limits.ts";
import type { Kinds } from "./places.ts";

/** Credentials with every claim of the token they came from. */
export type Caller = Credentials & Pick<Verified, "claims">;

/** What {@link createApp} needs. */
export interface AppOptions<Env extends object> {
  /** Kinds of rooms: from the name in the URL to the Durable Object binding in wrangler.toml, and where the rooms are. */
  rooms: Kinds<Env>;
  /** Says which user a token is for. Default: `jwt()`, configured by the environment. */
  auth?: Authenticator | undefined;
  /**
   * Origins that may connect, besides the Worker's own: `https://app.example.com`, `*.example.com`, and those of apps such
   * as `capacitor://localhost`. Default: `ALLOWED_ORIGINS`, with commas between several.
   */
  origins?: readonly string[] | ((env: Env) => readonly string[]) | undefined;
  /**
   * Has the last word before a room is asked, and may be asynchronous: `true` lets the caller in as the token says,
   * credentials let it in as they say, anything else refuses with `forbidden`. A throw refuses with `internal`, credentials
   * with an invalid field with `hook_failed`.
   */
  authorize?:
    | ((
        c: Context<{ Bindings: Env }>,
        caller: Caller,
        address: RoomAddress,
      ) => Promise<boolean | Credentials> | boolean | Credentials)
    | undefined;
  /**
   * What one isolate takes of one user and one address before it asks a room; `false` for no such limits. Default: see
   * {@link LimitOptions}. Where a rate limiter is bound as `RATE_LIMIT`, its own limit counts for users instead.
   */
  limits?: LimitOptions | false | undefined;
  /**
   * Called with failures of severity `alert`, at most once a minute for each code and isolate. Rooms call their own
   * `onAlert`. Default: the webhook at `ALERT_WEBHOOK_URL`, if there is one.
   */
  onAlert?: ((alert: Alert, env: Env) => Promise<void> | void) | undefined;
}
