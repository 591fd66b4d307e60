/** Every transcript, with the object left alone and with the object evicted after every single event: same frames. */
import { expect, it } from "vitest";
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
