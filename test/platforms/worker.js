// A Worker as a member of a room of another Worker: plays the scenario that a request posts.
import { connect } from "edgerooms/client";
import { scenario } from "./scenario.js";

export default {
  async fetch(request) {
    return Response.json(await scenario(connect, await request.json()));
  },
};
