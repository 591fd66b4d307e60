/** partyserver as its README shows it, hibernating: a message of one connection is broadcast to all. */
import { routePartykitRequest, Server, type Connection } from "partyserver";
import { verify } from "./verify.ts";

interface Env {
  readonly PartyRoom: DurableObjectNamespace<PartyRoom>;
  readonly SECRET: string;
}

let built = 0;

/** The room. */
export class PartyRoom extends Server<Env> {
  static override options = { hibernate: true };

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    built++;
  }

  override onMessage(_connection: Connection, message: string): void {
    this.broadcast(message);
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const onBeforeConnect = async (arriving: Request) =>
      (await verify(arriving.headers.get("authorization"), env.SECRET))
        ? arriving
        : new Response(null, { status: 401 });
    return (
      (await routePartykitRequest(request, { PartyRoom: env.PartyRoom }, { onBeforeConnect })) ??
      Response.json({ built })
    );
  },
};
