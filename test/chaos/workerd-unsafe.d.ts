/** The module that plain workerd has with `--experimental` and the flag `unsafe_module`; it comes without types. */
declare module "workerd:unsafe" {
  const unsafe: {
    /** Takes an object out of memory; its sockets stay open and hibernate, or are closed. */
    evict(stub: DurableObjectStub, options: { webSockets: "hibernate" | "close" }): Promise<void>;
  };
  export default unsafe;
}
