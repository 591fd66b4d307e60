/** Whatever a socket sends: an error frame or the right close, the room lives, and nobody else sees a thing. */
import { expect, it } from "vitest";
import { decode } from "../../src/protocol/codec.ts";
import { Client } from "../support/client.ts";
import { randomFrom } from "../support/random.ts";
import { TestedRoom } from "../support/room.ts";

/** Someone else in the room, who must see nothing but what the one after the nonsense publishes. */
async function withWitness(kind: "relay" | "fast" | "small" = "fast") {
  const room = new TestedRoom(kind);
  const { client: witness } = await Client.join(room.path, { user: "witness" });
  const { client } = await Client.join(room.path, { user: "clumsy" });
  await witness.next("presence");
  const undisturbed = async () => {
    const { client: third } = await Client.join(room.path, { user: "third" });
    await third.publish(1, "all well?");
    await witness.until(() => witness.items.length > 0);
    expect(witness.items.map((item) => item.data)).toEqual(["all well?"]);
    expect(new Set(witness.frames.map((frame) => frame.type))).toEqual(
      new Set(["welcome", "snapshot", "presence", "pub"]),
    );
    expect(room.reports).toEqual([]);
  };
  return { room, client, witness, undisturbed };
}

const nonsense: Record<string, string> = {
  empty: "",
  "not JSON": "{type:publish}",
  "half a frame": '{"type":"publish","ref":1,"da',
  "a number": "42",
  "a string": '"publish"',
  null: "null",
  "an empty array": "[]",
  "an array in an array": "[[]]",
  "no type": "{}",
  "an unknown type": '{"type":"subscribe"}',
  "a type of the server": '{"type":"welcome"}',
  "a type from the prototype": '{"type":"constructor"}',
  "publish without a ref": '{"type":"publish","data":1}',
  "publish without data": '{"type":"publish","ref":1}',
  "a ref of 0": '{"type":"publish","ref":0,"data":1}',
  "a negative ref": '{"type":"publish","ref":-1,"data":1}',
  "a fraction as ref": '{"type":"publish","ref":1.5,"data":1}',
  "a ref past 2^53": '{"type":"publish","ref":9007199254740993,"data":1}',
  "a string as ref": '{"type":"publish","ref":"1","data":1}',
  "an object as to": '{"type":"publish","ref":1,"data":1,"to":{"0":"bob"}}',
  "an empty to": '{"type":"signal","data":1,"to":[]}',
  "numbers in to": '{"type":"signal","data":1,"to":[1]}',
  "too many in to": JSON.stringify({ type: "signal", data: 1, to: Array.from({ length: 101 }, (_, i) => `u${i}`) }),
  "signal without data": '{"type":"signal"}',
  "presence without data": '{"type":"presence"}',
  "a call without a ref": '{"type":"call","method":"m"}',
  "a negative offset": '{"type":"sync","offset":-1}',
  "an offset that is none": '{"type":"ack","offset":"1"}',
  "nesting past the limit": `{"type":"signal","data":${"[".repeat(40)}${"]".repeat(40)}}`,
  "nesting past every stack": "[".repeat(60_000),
  "too many frames": JSON.stringify(Array.from({ length: 257 }, () => ({ type: "ack", offset: 0 }))),
  "ping in capitals": "PING",
};

for (const [name, text] of Object.entries(nonsense)) {
  it(`answers ${name} with bad_frame`, async () => {
    const { client, undisturbed } = await withWitness();
    client.socket.send(text);
    expect(await client.next("error")).toMatchObject({ code: "bad_frame", retryable: false });
    expect(client.closed).toBeUndefined();
    await undisturbed();
  });
}

it("answers a call without a usable method with its reply", async () => {
  const { client, undisturbed } = await withWitness();
  for (const [i, method] of ["", "m".repeat(65), 5, null, undefined].entries()) {
    client.send({ type: "call", ref: i + 1, method, data: null } as never);
    expect(await client.next("reply")).toMatchObject({ ref: i + 1, error: { code: "bad_frame", retryable: false } });
  }
  expect(client.of("error")).toEqual([]);
  await undisturbed();
});

it("answers a binary message with bad_frame, and invalid UTF-8 in one too", async () => {
  const { client, undisturbed } = await withWitness();
  client.socket.send(new TextEncoder().encode('{"type":"signal","data":1}'));
  expect((await client.next("error")).code).toBe("bad_frame");
  client.socket.send(new Uint8Array([0xff, 0xfe, 0xc0, 0x80]));
  expect((await client.next("error")).code).toBe("bad_frame");
  await undisturbed();
});

it("keeps lone surrogates and odd keys of data as they are", async () => {
  const { client } = await withWitness();
  const data = '{"__proto__":{"admin":true},"constructor":1,"text":"\\ud800\\u0000\\u2028","":[]}';
  client.socket.send(`{"type":"publish","ref":1,"data":${data},"__proto__":{"type":"leave"}}`);
  await client.until(() => client.items.length === 1);
  expect(JSON.stringify(client.items[0]?.data)).toBe(data.replace("\\u2028", "\u2028"));
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
});

it("allows data the same depth alone and in an array", async () => {
  const { client } = await withWitness();
  const frame = (depth: number, ref: number) =>
    `{"type":"publish","ref":${ref},"data":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  client.socket.send(frame(31, 1));
  client.socket.send(` [${frame(31, 2)}]`);
  await client.until(() => client.of("ack").length === 2);
  client.socket.send(frame(32, 3));
  client.socket.send(`[${frame(32, 3)}]`);
  await client.until(() => client.of("error").length === 2);
});

it("closes with 1009 on a message past the limit, and takes one just within it", async () => {
  const { client, undisturbed } = await withWitness("small");
  const frame = (length: number) => JSON.stringify({ type: "signal", data: "é".repeat(length) });
  client.send({ type: "call", ref: 1, method: "é".repeat(64), data: "é".repeat(900) });
  expect((await client.next("reply")).error?.code).toBe("unknown_method");
  client.socket.send(frame(1_020));
  expect(await client.next("bye")).toMatchObject({ code: 1009, reason: "too_large" });
  expect(client.of("error")).toEqual([]);
  await undisturbed();
});

it("stores what the largest allowed message can grow into, and rejects what it cannot", async () => {
  const { client } = await withWitness();
  // 1e20 is four characters that are written again as 21.
  const numbers = `[${Array.from({ length: 13_000 }, () => "1e20").join(",")}]`;
  client.socket.send(`{"type":"publish","ref":1,"data":${numbers}}`);
  await client.until(() => client.items.length === 1);
  expect(client.items[0]?.data).toHaveLength(13_000);
});

it("survives 1,000 random messages", async () => {
  const seed = 20_261_123;
  const random = randomFrom(seed);
  const { client, witness, room } = await withWitness();
  let answers = 0;
  for (let i = 0; i < 1_000; i++) {
    const text = randomMessage(random);
    // What happens to be a frame is not nonsense; leave it out.
    const frames = decode(text, 65_536);
    if (!frames.every((frame) => frame.type === "malformed")) continue;
    client.socket.send(text);
    answers += frames.length;
    const expected = 2 + answers;
    if (i % 100 === 0) await client.until(() => client.frames.length >= expected, `${answers} errors (seed ${seed})`);
  }
  await client.until(() => client.frames.length >= 2 + answers, `${answers} errors (seed ${seed})`);
  const refused = client.frames.flatMap((frame) =>
    frame.type === "error" ? [frame] : frame.type === "reply" && frame.error ? [frame.error] : [],
  );
  expect(refused).toHaveLength(answers);
  expect(answers).toBeGreaterThan(500);
  expect(new Set(refused.map((error) => error.code))).toEqual(new Set(["bad_frame"]));
  expect(witness.frames.map((frame) => frame.type)).toEqual(["welcome", "snapshot", "presence"]);
  expect(room.reports).toEqual([]);
  await client.publish(1, "alive");
});

/** Bytes, JSON of any shape, or a real frame with a piece of it replaced, cut or doubled. */
function randomMessage(random: () => number): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const junk = () => String.fromCharCode(...Array.from({ length: 1 + random() * 20 }, () => random() * 0x3000));
  const value = (depth: number): unknown => {
    const kind = Math.floor(random() * (depth > 4 ? 6 : 8));
    if (kind === 0) return null;
    if (kind === 1) return random() < 0.5;
    if (kind === 2) return pick([0, -0, -1, 1e308, 0.1, 2 ** 53, random() * 1e6]);
    if (kind === 3) return junk();
    if (kind <= 5) return pick(["publish", "signal", "call", "sync", "__proto__", "ann", ""]);
    if (kind === 6) return Array.from({ length: random() * 5 }, () => value(depth + 1));
    return Object.fromEntries(
      Array.from({ length: random() * 5 }, () => [
        pick(["type", "ref", "data", "to", "offset", "method", junk()]),
        value(depth + 1),
      ]),
    );
  };
  const real = pick([
    '{"type":"publish","ref":1,"data":{"a":[1,2]},"to":["bob"]}',
    '{"type":"call","ref":1,"method":"add","data":[1]}',
    '[{"type":"ack","offset":1},{"type":"sync","offset":0}]',
  ]);
  const at = Math.floor(random() * real.length);
  return pick([
    () => junk(),
    () => JSON.stringify(value(0)) ?? "",
    () => real.slice(0, at),
    () => real.slice(0, at) + junk() + real.slice(at),
    () => real.slice(0, at) + JSON.stringify(value(3)) + real.slice(at + 4),
  ])();
}
