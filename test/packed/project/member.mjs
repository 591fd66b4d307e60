// A member that leaves after its first publication, comes back as the same session, and has missed nothing.
// Arguments: the server and a token. Prints what it saw.
import { connect, memoryStore } from "edgerooms/client";

const [, , url, token] = process.argv;
const options = { room: "chat/lobby", token, storage: memoryStore() };
const seen = [];
const first = connect(url, options);
first.on("publication", ({ data }) => seen.push(data));
await first.publish("before");
first.close();
const second = connect(url, options);
second.on("publication", ({ data }) => seen.push(data));
const resumed = new Promise((resolve) => second.on("resumed", resolve));
await second.publish("after");
await resumed;
second.close();
console.log(JSON.stringify(seen));
