// Plays the scenario on whatever runs this file, with the settings in the variable SCENARIO. `as` says which globals there
// are: those of the platform, `ws` in place of its WebSocket, or those of React Native. Prints what came of it.
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { scenario } from "./scenario.js";

const { as, ...options } = JSON.parse(process.env.SCENARIO);
// That of Node.js needs a whole URL, which React Native has not.
if (as !== "plain") options.WebSocket = (await import("ws")).WebSocket;
if (as === "react-native") {
  // `window` is the global object and has no addEventListener; there is no document, and no storage.
  for (const name of ["document", "sessionStorage", "localStorage", "addEventListener", "navigator"]) {
    delete globalThis[name];
  }
  globalThis.window = globalThis;
  globalThis.navigator = { product: "ReactNative" };
  // Its URL has had an href and nothing else for most of its life, and puts a slash at the end.
  globalThis.URL = class {
    constructor(url) {
      this.href = url.endsWith("/") ? url : `${url}/`;
    }
    get origin() {
      throw new Error("URL.origin is not implemented");
    }
    get pathname() {
      throw new Error("URL.pathname is not implemented");
    }
    get searchParams() {
      throw new Error("URL.searchParams is not implemented");
    }
  };
}
const { connect } = await import("edgerooms/client");
const manifest = fileURLToPath(import.meta.resolve("edgerooms/package.json"));
if (!manifest.includes("node_modules")) throw new Error("this is not the packed package");
readFileSync(manifest);
console.log(JSON.stringify(await scenario(connect, options)));
process.exit(0);
