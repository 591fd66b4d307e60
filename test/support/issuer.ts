/** What the Worker asks: an address, and an issuer of tokens with a key set at one. They stand where `fetch` finds them. */
import { exportJWK, generateKeyPair, SignJWT, type JWK } from "jose";
import { vi } from "vitest";

/** A key the issuer signs with. */
export interface IssuerKey {
  readonly jwk: JWK;
  /** A token of ann, good for two hours. */
  sign(claims?: Record<string, unknown>): Promise<string>;
}

let minted = 0;

/** A key that is in nobody's set yet. */
export async function makeKey(alg = "ES256"): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${++minted}`;
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    sign: (claims = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid }).setSubject("ann").setExpirationTime("2h").sign(privateKey),
  };
}

/** By origin, those that stand on the way of `fetch`. */
const sites = new Map<string, Site>();

/** An https address with an origin that nobody else asks (breakers go by origin), until `vi.restoreAllMocks()`. */
export class Site {
  readonly url = `https://${crypto.randomUUID()}.site.test/path`;
  /** What it was asked. */
  readonly requests: Request[] = [];
  /** Set to answer in another way. */
  answer: ((request: Request) => Response | Promise<Response>) | undefined;

  constructor() {
    sites.set(new URL(this.url).origin, this);
    const real = globalThis.fetch;
    if (vi.isMockFunction(real)) return;
    vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const request = new Request(input, init);
      const site = sites.get(new URL(request.url).origin);
      if (!site) return real(input, init);
      site.requests.push(request.clone());
      // As late as an answer from elsewhere.
      return Promise.resolve().then(() => site.answer?.(request) ?? site.usual());
    });
  }

  /** How often it was asked. */
  get asked(): number {
    return this.requests.length;
  }

  protected usual(): Response {
    return new Response(null, { status: 204 });
  }
}

/** Serves keys. */
export class Issuer extends Site {
  keys: IssuerKey[];

  constructor(...keys: IssuerKey[]) {
    super();
    this.keys = keys;
  }

  protected override usual(): Response {
    return Response.json({ keys: this.keys.map(({ jwk }) => jwk) });
  }
}
