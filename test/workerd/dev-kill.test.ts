/** The route behind the demo's "Kill the room": only in development, only for our own pages. */
import { Hono } from "hono";
import { expect, it } from "vitest";
import { devKill, type Mortal } from "../../src/http/dev-kill.ts";

const HERE = "http://localhost:8787";

/** Asks for the end of a room. Returns the status, and which rooms ended. */
async function kill(room: string, env: object, { at = HERE, origin }: { at?: string; origin?: string } = {}) {
  const killed: string[] = [];
  const namespace = {
    getByName: (name: string) => ({
      // As a call does that ends its own instance.
      kill: () => Promise.reject(new Error(`killed ${killed.push(name)}`)),
    }),
  };
  const app = new Hono<{ Bindings: object }>();
  devKill(app, () => namespace as unknown as DurableObjectNamespace<Mortal>);
  const headers = origin === undefined ? {} : { origin, "sec-fetch-site": "same-origin" };
  const response = await app.fetch(new Request(`${at}/dev/kill/${room}`, { method: "POST", headers }), env);
  return { status: response.status, killed };
}

it("P: a room is killed in development, and nowhere else", async () => {
  expect(await kill("lobby", { ENVIRONMENT: "development" })).toEqual({ status: 204, killed: ["lobby"] });
  expect(await kill("lobby", { ENVIRONMENT: "production" })).toEqual({ status: 404, killed: [] });
  expect(await kill("lobby", {})).toEqual({ status: 404, killed: [] });
});

it("P: a page elsewhere kills nothing, and neither does what is not a room's name", async () => {
  const env = { ENVIRONMENT: "development" };
  expect(await kill("lobby", env, { origin: HERE })).toEqual({ status: 204, killed: ["lobby"] });
  const refused = { status: 404, killed: [] };
  expect(await kill("lobby", env, { origin: "https://elsewhere.test" })).toEqual(refused);
  expect(await kill("lobby", env, { at: "https://deployed.test" })).toEqual(refused);
  expect((await kill("a%20b", env)).killed).toEqual([]);
});
