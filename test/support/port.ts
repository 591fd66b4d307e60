/** Ports for servers that must know theirs before they listen, or come back to the same one. */
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

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
