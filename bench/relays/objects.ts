/** The real room and the real relay in a place of plain Node, and the members that join them. Knows no clock and no thread. */
import type { Admission, RelayAddress, Via } from "../../src/room/admission.ts";
import { defineRoom } from "../../src/room/definition.ts";
import type { Down, RelayPort, Up } from "../../src/room/relaying.ts";
import { RoomHost, type Observer } from "../../src/room/runtime/host.ts";
import { RelayHost } from "../../src/room/runtime/relay-host.ts";
import type { Place, Seat } from "./place.ts";

/** Connections of a relay that never is full. */
const EACH = 32_000;
const DAY_MS = 86_400_000;

const observer: Observer = {
  report: ({ code, message }) => {
    throw new Error(`a failure: ${code} ${message}`);
  },
  ended: () => {},
  sendReport: () => Promise.resolve(),
  span: (_name, _attributes, run) => run(),
};

const definition = defineRoom({ presence: "count", rate: { perSecond: 1_000_000, burst: 1_000_000 } });

/** Makes a room and begins it. */
export async function makeRoom(place: Place, relayAt: (relay: RelayAddress) => RelayPort): Promise<RoomHost> {
  const host = new RoomHost({ platform: place, definition: () => definition, env: {}, observer, relayAt });
  place.onAlarm = (scheduledTime) => void host.alarm({ scheduledTime, retryCount: 0 });
  await host.begin();
  return host;
}

/** Makes a relay and begins it. */
export async function makeRelay(place: Place, ask: (up: Up) => Promise<Down>): Promise<RelayHost> {
  const relayAt = () => {
    throw new Error("there is no second level");
  };
  const relay = new RelayHost({ platform: place, observer, ask: (_home, up) => ask(up), relayAt });
  place.onAlarm = (scheduledTime) => void relay.room.alarm({ scheduledTime, retryCount: 0 });
  await relay.room.begin();
  return relay;
}

/** Name of the relay with a number. */
export const nameOf = (nth: number): string => `test/one/any/${nth}`;

/** Somebody joins the room. */
export async function joinRoom(host: RoomHost, place: Place, user: string): Promise<Seat> {
  const opened = await host.connect(admissionOf(place, user));
  if (!opened.ok) throw new Error(`the room refuses ${user}: ${opened.code}`);
  // Sound: the place gives the room's end as the client's.
  return opened.client as unknown as Seat;
}

/** Somebody joins at a relay. */
export async function joinRelay(relay: RelayHost, place: Place, user: string): Promise<void> {
  const address: RelayAddress = { binding: "RELAY", name: place.name, region: "any" };
  const via: Via = { relay: address, home: { binding: "ROOM", kind: "test", room: "one" }, each: EACH };
  const opened = await relay.connect({ ...admissionOf(place, user), via });
  if (!opened.ok) throw new Error(`the relay refuses ${user}: ${JSON.stringify(opened)}`);
}

function admissionOf(place: Place, user: string): Admission {
  return {
    kind: "test",
    room: "one",
    credentials: { user, grants: ["join", "publish"], issued: 0, expires: place.now() + DAY_MS },
    requestId: user,
    receivedAt: place.now(),
    credit: true,
  };
}
