/** Attacks on the door, at a process: handshakes that never end, that are too large, that pretend to come from inside. */
import assert from "node:assert/strict";
import type { Workerd } from "../serve/workerd.ts";
import { eventually } from "../support/patience.ts";
import { Honest } from "./honest.ts";
import { check, counts, descriptors, memory, sign, storedRooms } from "./target.ts";
import { handshake, Tcp, type Knock } from "./tcp.ts";

/** Joins and publishes; returns how long that took in ms. */
async function honestRound(workerd: Workerd, room: string): Promise<number> {
  const started = performance.now();
  const member = await Honest.join(workerd.port, `room/${room}`, await sign("honest"));
  member.publish();
  await eventually(() => member.waiting === 0, { what: "an honest publish to come back" });
  member.close();
  return Math.round(performance.now() - started);
}

/** An honest member among attackers takes at most so many times as long as one alone on the same machine. */
const SLOWER = 50;

function isSoon(took: number, calm: number): void {
  assert.ok(took <= SLOWER * Math.max(calm, 10), `an honest member took ${took} ms, alone ${calm} ms`);
}

/** The line of a refused address. */
const REFUSED = { level: "warn", code: "not_found", source: "GET /rooms/:kind/:room" };

/** Runs all of them; `size` is how many connections a slow attacker has. */
export async function attackDoor(workerd: Workerd, size: number): Promise<void> {
  const { port } = workerd;
  // The first round also pays for code that was never run.
  await honestRound(workerd, "calm");
  const calm = await honestRound(workerd, "calm");
  const quiet = descriptors(workerd.pid);

  await check("slow handshakes keep nobody out", async () => {
    const text = handshake({ port, path: "/rooms/room/slow", token: await sign("eve") });
    const slow = Array.from({ length: size }, (_, i) => {
      const tcp = new Tcp(port, `127.0.0.${2 + (i % 5)}`);
      tcp.socket.write(text.slice(0, 40 + (i % (text.length - 60))));
      return tcp;
    });
    await eventually(() => descriptors(workerd.pid) >= quiet + size, { what: "half handshakes to be there" });
    const took = await honestRound(workerd, "beside-slow");
    for (const tcp of slow) tcp.socket.write("X");
    await honestRound(workerd, "beside-slow");
    assert.equal((await counts(workerd, "room/slow")).sockets, 0);
    for (const tcp of slow) tcp.destroy();
    isSoon(took, calm);
    return `${size} half handshakes; an honest member joined and published in ${took} ms`;
  });

  await check("slow bodies keep nobody out", async () => {
    const token = await sign("eve");
    const head = `POST /rooms/room/slow/session HTTP/1.1\r\nHost: rooms.test\r\nAuthorization: Bearer ${token}\r\nContent-Length: 4000\r\n\r\n{"ses`;
    const slow = Array.from({ length: size }, () => {
      const tcp = new Tcp(port);
      tcp.socket.write(head);
      return tcp;
    });
    const took = await honestRound(workerd, "beside-slow");
    for (const tcp of slow) tcp.destroy();
    isSoon(took, calm);
    return `${size} half bodies; ${took} ms`;
  });

  await check("an oversized handshake is refused and nothing is kept of it", async () => {
    const token = await sign("eve");
    const large: Knock[] = [
      { port, path: "/rooms/room/large", token, headers: [`X-Large: ${"x".repeat(1_048_576)}`] },
      { port, path: `/rooms/room/large?session=${"s".repeat(1_048_576)}`, token },
      { port, path: "/rooms/room/large", token: "t".repeat(1_048_576) },
      { port, path: "/rooms/room/large", token, headers: Array.from({ length: 20_000 }, (_, i) => `X-${i}: 1`) },
    ];
    const before = memory(workerd.pid);
    for (let i = 0; i < 40; i++) {
      const { tcp, status } = await Tcp.upgrade(large[i % large.length] as Knock);
      assert.ok(status !== 101 && status < 500, `answered ${status}`);
      tcp.destroy();
    }
    assert.equal((await counts(workerd, "room/large")).sockets, 0);
    const grown = memory(workerd.pid) - before;
    assert.ok(grown < 200, `${grown} MB more`);
    await honestRound(workerd, "beside-large");
    return `40 of a megabyte, ${grown.toFixed(0)} MB more`;
  });

  await check("an admission from outside opens nothing, wherever the room's own address is put", async () => {
    const credentials = { user: "root", grants: ["join", "admin"], issued: 0, expires: 9e15 };
    const all = { kind: "room", room: "inside", requestId: "forged", receivedAt: 0, credit: false, credentials };
    const seal = `Edgerooms-Admission: ${encodeURIComponent(JSON.stringify(all))}`;
    const inside = "https://room.edgerooms.invalid";
    const places: Partial<Knock>[] = [
      {},
      { target: `${inside}/careless/inside/` },
      { target: `${inside}/` },
      { host: "room.edgerooms.invalid" },
      { host: "room.edgerooms.invalid:443" },
      { host: inside },
      { host: "room.edgerooms.invalid", headers: [seal, "X-Forwarded-Proto: https", 'CF-Visitor: {"scheme":"https"}'] },
      { headers: [seal, "Host: room.edgerooms.invalid", `X-Original-URL: ${inside}/`, `Forwarded: host=${inside}`] },
      { target: `//room.edgerooms.invalid/careless/inside/` },
      { target: `/careless/inside/${inside}/` },
    ];
    for (const path of ["/careless/inside/", "/rooms/room/inside", "/rooms/room/inside/session"]) {
      for (const place of places) {
        const { tcp, status } = await Tcp.upgrade({ port, path, headers: [seal], ...place });
        const opened = status === 101 && !tcp.heard.includes('"type":"bye"');
        if (status === 101) await tcp.until(() => /"type":"(bye|welcome)"/.test(tcp.heard), "the first frame");
        assert.ok(!tcp.heard.includes("welcome"), `${path} ${JSON.stringify(place)} let root in (${opened})`);
        tcp.destroy();
      }
    }
    assert.deepEqual(await counts(workerd, "room/inside"), { sockets: 0, connected: 0, sessions: 0 });
  });

  await check("refused upgrades wake no room", async () => {
    const before = { rooms: storedRooms(workerd), memory: memory(workerd.pid) };
    assert.ok(before.rooms > 0, "rooms that did wake are seen on disk");
    const tokens = [undefined, "garbage", await sign("eve", ["publish"])];
    const total = size * 20;
    let refused = 0;
    const lane = async (first: number) => {
      for (let i = first; i < total; i += 20) {
        const token = tokens[i % 3];
        const path = `/rooms/room/refused-${i}`;
        const { tcp } = await Tcp.upgrade({ port, path, ...(token !== undefined && { token }) });
        await tcp.until(() => tcp.heard.includes('"bye"'), "the refusal");
        refused++;
        tcp.destroy();
      }
    };
    await Promise.all(Array.from({ length: 20 }, (_, i) => lane(i)));
    assert.equal(refused, total);
    assert.equal(storedRooms(workerd), before.rooms);
    await eventually(() => descriptors(workerd.pid) <= quiet + 20, { what: "their descriptors to be free again" });
    return `${total} refused, ${(memory(workerd.pid) - before.memory).toFixed(0)} MB more, no room on disk`;
  });

  await check("a Host that is none is refused like any bad address, and nothing of it is in the log", async () => {
    workerd.output = "";
    for (const host of ["a b", "a%", "x:99999", "["]) {
      for (const headers of [[], ["Origin: http://evil.test"]]) {
        const { tcp } = await Tcp.upgrade({ port, path: "/rooms/room/x", host, headers });
        tcp.destroy();
      }
    }
    await honestRound(workerd, "after-hosts");
    for (const line of workerd.output.trimEnd().split("\n")) {
      const { level, code, source, message } = JSON.parse(line) as Record<string, unknown>;
      assert.deepEqual({ level, code, source, message }, { ...REFUSED, message: undefined });
    }
  });
}
