/**
 * Every transcript, with the object left alone and with the object evicted after every single event: same frames. And what
 * of the class does not outlive that.
 */
import { runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
// @ts-expect-error Only the bundler knows `?raw`: the file as text.
import roomsDoc from "../../docs/reference/rooms.md?raw";
import { Client } from "../support/client.ts";
import { TestedRoom } from "../support/room.ts";
import { Run, scenarios } from "../support/scenarios.ts";

for (const [name, play] of Object.entries(scenarios)) {
  it(`promise 6: ${name} looks the same when the room is evicted after every event`, async () => {
    const transcripts: string[] = [];
    for (const evicts of [false, true]) {
      const room = new TestedRoom(name === "reset" ? "small" : "relay");
      room.stopClock();
      const run = new Run(room, () => (evicts ? room.evict() : Promise.resolve()));
      await play(run);
      transcripts.push(run.transcript());
    }
    expect(transcripts[0]).toContain("welcome");
    expect(transcripts[1]).toBe(transcripts[0]);
  });
}

it("T9: a field of the class is gone when the room has slept, a row is not, and docs/reference/rooms.md says so", async () => {
  const room = new TestedRoom();
  const { client } = await Client.join(room.path);
  await client.publish(1, "kept");
  const visits = async (more: number) =>
    runInDurableObject(room.stub, (object) => {
      const counted = object as typeof object & { visits?: number };
      return (counted.visits = (counted.visits ?? 0) + more);
    });
  expect([await visits(1), await visits(1)]).toEqual([1, 2]);
  await room.evict();
  expect(await visits(1)).toBe(1);
  // The client sees no break, which is why nobody notices.
  expect(await client.publish(2, "kept too")).toMatchObject({ offset: 2 });
  expect(await room.sql("SELECT count(*) AS n FROM edgerooms_log")).toEqual([{ n: 2 }]);
  const said = (roomsDoc as string).replaceAll(/\s+/g, " ");
  expect(said).toContain("## Class fields do not survive");
  expect(said).toContain("**fields of the class are then what their initializers say**");
});
