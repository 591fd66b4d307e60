// A test that Jest runs, as CommonJS: the client is required.
const { connect } = require("edgerooms/client");
const { scenario } = require("./scenario.cjs");

test("one resumed message", async () => {
  const { WebSocket } = require("ws");
  const result = await scenario(connect, { ...JSON.parse(process.env.SCENARIO), WebSocket });
  expect(result).toEqual({ seen: ["before", "missed", "after"], resumed: 1, reset: 1 });
});
