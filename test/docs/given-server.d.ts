/** What the documents leave to their readers beside rooms: the environment that wrangler writes, and programs of their own. */
declare namespace Cloudflare {
  interface Env {
    readonly AUTH_SECRET: string;
    readonly CHAT_ROOM: DurableObjectNamespace<import("edgerooms").Room>;
    readonly CHAT_RELAY: DurableObjectNamespace<import("edgerooms").Relay>;
    readonly NOTES: DurableObjectNamespace<import("edgerooms").Room>;
    readonly WAREHOUSE: Fetcher;
  }
  interface GlobalProps {
    mainModule: { default: ExportedHandler<Env> };
  }
}
interface Env extends Cloudflare.Env {}
declare const env: Env;
declare function page(alert: import("edgerooms").Alert): void;
declare function keep(recording: string): void;
declare function lookUp(token: string): Promise<{ user: string; since: number; until: number } | undefined>;
