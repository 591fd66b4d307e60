/** Ports for servers: any, or one that a server must know before it listens or comes back to. */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Arguments for wrangler: the system gives a port to it, and one to its inspector. Without the second wrangler looks for
 * a free one first and takes it a while later, when another that starts at the same time may have it.
 */
export const ANY_PORTS = ["--port", "0", "--inspector-port", "0"];

// Below the range from which Linux gives ports away (net.ipv4.ip_local_port_range, 32,768 and up): while a server is
// down, neither a server that asks for any port nor the near end of a connection can take its place.
const FIRST = 20_000;
const END = 32_000;

/** A port on loopback that nobody listens on, and that nobody gets who does not ask for it by its number. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, END);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch {
    return false;
  }
  await once(server.close(), "close");
  return true;
}
