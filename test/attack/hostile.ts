/**
 * A process full of hostile members, forked by sockets.ts. Told over IPC how many and where; each does one of the things in
 * {@link deeds} as soon as it is in, and none of them ever reads, answers or closes.
 */
import { frame, Tcp } from "./tcp.ts";

/** What the parent asks for. */
export interface Orders {
  readonly port: number;
  readonly path: string;
  readonly tokens: readonly string[];
  readonly count: number;
  readonly from: readonly string[];
}

const GARBAGE = [
  "nonsense",
  "[".repeat(50_000),
  `[${Array<string>(256).fill("0").join(",")}]`,
  '{"type":"\u0000"}',
  "{}",
];
const FLOOD = JSON.stringify(Array.from({ length: 256 }, (_, ref) => ({ type: "publish", ref: ref + 1, data: "x" })));
const SYNCS = JSON.stringify(Array.from({ length: 10 }, () => ({ type: "sync", offset: 0 })));

/** What a hostile member does. Each is given its connection once. */
export const deeds: readonly ((tcp: Tcp) => void)[] = [
  // Does nothing at all, and reads nothing.
  () => undefined,
  (tcp) => GARBAGE.forEach((text) => tcp.send(text)),
  (tcp) => {
    for (let i = 0; i < 8; i++) tcp.send(FLOOD);
  },
  // Half a frame: 64 KiB announced, 1 KiB sent.
  (tcp) => tcp.socket.write(frame("x".repeat(1_024), 1, 65_536)),
  (tcp) => {
    for (let i = 0; i < 500; i++) tcp.send("ping");
  },
  (tcp) => tcp.send(SYNCS),
  // Bytes that are no frame: reserved opcodes, a control frame in pieces, noise.
  (tcp) => tcp.socket.write(Buffer.concat([frame("x", 3), Buffer.from([0x09, 0xff, 0x00, 0x88])])),
];

const sockets: Tcp[] = [];

async function attack({ port, path, tokens, count, from }: Orders): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < count; i = next++) {
      const token = tokens[i % tokens.length] ?? "";
      const { tcp, status } = await Tcp.upgrade({ port, path, token, from: from[i % from.length] ?? "127.0.0.1" });
      if (status !== 101) throw new Error(`refused with ${status}`);
      sockets.push(tcp);
      tcp.socket.pause();
      tcp.heard = "";
      deeds[i % deeds.length]?.(tcp);
    }
  };
  await Promise.all(Array.from({ length: 25 }, lane));
}

process.on("message", (orders: Orders) => {
  attack(orders).then(
    () => process.send?.({ opened: sockets.length }),
    (error: unknown) => process.send?.({ opened: sockets.length, error: String(error) }),
  );
});
// Whatever becomes of the parent, this ends with it.
process.on("disconnect", () => process.exit());
