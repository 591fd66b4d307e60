/** The part of a namespace whose objects stay in a jurisdiction. The only file that knows that workerd alone has none. */

/** Where objects can be bound to stay. From the platform's documentation of data location. */
export const JURISDICTIONS = ["eu", "us", "fedramp", "fedramp-high"] as const;

export type Jurisdiction = (typeof JURISDICTIONS)[number];

/** What workerd says, where `wrangler dev` and the tests run. In production no namespace says so. */
const ONLY_LOCAL = /not implemented in workerd/;

/**
 * The objects of a namespace that stay in a jurisdiction: others than those of the same names elsewhere. `undefined` where
 * there are no jurisdictions, which is on a developer's own machine.
 */
export function confinedTo<T extends Rpc.DurableObjectBranded>(
  namespace: DurableObjectNamespace<T>,
  jurisdiction: Jurisdiction,
): DurableObjectNamespace<T> | undefined {
  try {
    return namespace.jurisdiction(jurisdiction);
  } catch (error) {
    // Anything else must not put a room where it may not be.
    if (error instanceof Error && ONLY_LOCAL.test(error.message)) return undefined;
    throw error;
  }
}
