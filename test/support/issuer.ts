/** An issuer of tokens with a key set at an address that no other test asks. It stands where `fetch` would find one. */
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
export async function makeKey(alg: "RS256" | "ES256" | "EdDSA" = "ES256"): Promise<IssuerKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const kid = `key-${++minted}`;
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    sign: (claims = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid }).setSubject("ann").setExpirationTime("2h").sign(privateKey),
  };
}

/** Serves keys until `vi.restoreAllMocks()`. */
export class Issuer {
  readonly url = `https://issuer.test/${crypto.randomUUID()}`;
  /** How often it was asked. */
  asked = 0;
  keys: IssuerKey[];
  /** Set to answer in another way. */
  answer: (() => Response | Promise<Response>) | undefined;

  constructor(...keys: IssuerKey[]) {
    this.keys = keys;
    const real = globalThis.fetch;
    vi.spyOn(globalThis, "fetch").mockImplementation((input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      if (url !== this.url) return real(input, init);
      this.asked++;
      return Promise.resolve().then(() => this.answer?.() ?? Response.json({ keys: this.keys.map(({ jwk }) => jwk) }));
    });
  }
}
