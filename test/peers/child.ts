/** A program with one member in it, to be killed: connects, says so to its parent, and ends when the parent does. */
import { Member } from "./member.ts";
import { tokenOf } from "./world.ts";

const [, , address = "", user = ""] = process.argv;
process.once("disconnect", () => process.exit(0));
const member = new Member(user, new URL(address), await tokenOf(user));
await member.until(() => member.welcome !== undefined, "welcome");
process.send?.("welcome");
