/** The page: signed in or not, which room the address names, and what is started and stopped for that. */
import { make, write } from "./element.js";
import { fromHash, nameOf, parse, toHash } from "./address.js";
import { Api } from "./api.js";
import { Failures } from "./failures.js";
import { Find } from "./find.js";
import { Operator } from "./operator.js";
import { RoomView } from "./room.js";
import { RoomList } from "./rooms.js";
import { SignIn } from "./sign-in.js";
import { Tokens } from "./token.js";
import { Trouble } from "./trouble.js";

/** How long the word on an action stays, in ms. */
const TOLD = 10_000;
/** Between two looks at the clock, in ms. */
const TICK = 1_000;

const byId = (id) => document.querySelector(`#${id}`);
const within = (id) => (selector) => byId(id).querySelector(selector);

const tokens = new Tokens();
const api = new Api(tokens, leave);
const trouble = new Trouble(byId("trouble"));
const operator = new Operator(api, trouble, tell);
const rooms = new RoomList(within("rooms"), api, trouble);
const find = new Find(within("find"), { api, operator, rooms: () => rooms.all, missing: () => rooms.missing });
const failures = new Failures(within("failures"), api, trouble);
const signIn = new SignIn(byId("sign-in"), tokens, api, enter);
let view;
let told;

byId("out").addEventListener("click", () => leave());
byId("go").addEventListener("submit", openNamed);
byId("go").elements.address.addEventListener("input", ({ target }) => target.setCustomValidity(""));
addEventListener("hashchange", route);
setInterval(() => [rooms, failures, trouble, view].forEach((part) => part?.tick()), TICK);
byId("loading").hidden = true;
await signIn.begin();

function enter() {
  byId("work").hidden = byId("out").hidden = false;
  rooms.start();
  failures.start();
  route();
}

/** Signed out: by the person, or because the token is refused. */
function leave(problem) {
  tokens.forget();
  rooms.stop();
  failures.stop();
  find.stop();
  closeRoom();
  trouble.clearAll();
  tell("");
  byId("work").hidden = byId("out").hidden = true;
  signIn.ask(problem);
}

function route() {
  if (byId("work").hidden) return;
  closeRoom();
  tell("");
  scrollTo(0, 0);
  const address = fromHash(location.hash);
  byId("work").dataset.view = address === undefined ? "list" : "room";
  rooms.mark(address ?? undefined);
  failures.of(address ?? undefined);
  document.title = `${address ? `${nameOf(address)} – ` : ""}Inspector – edgerooms`;
  if (address === null) byId("view").replaceChildren(make("p", "card blank", "This is not the address of a room."));
  if (!address) return;
  view = new RoomView(address, { api, trouble, operator });
  byId("view").replaceChildren(view.root);
  view.search(find.chosenIn(address) ?? "");
  view.start();
}

function closeRoom() {
  view?.stop();
  view = undefined;
  byId("view").replaceChildren(byId("pick").content.cloneNode(true));
}

/** A room by name, live or not. */
function openNamed(event) {
  event.preventDefault();
  const { address } = event.target.elements;
  const found = parse(address.value);
  if (found) {
    address.value = "";
    location.hash = toHash(found);
    return;
  }
  address.setCustomValidity("Write kind/room, such as room/lobby.");
  address.reportValidity();
}

/** What came of an action, also for those who do not see the page. */
function tell(text) {
  clearTimeout(told);
  write(byId("told"), text);
  if (text) told = setTimeout(() => write(byId("told"), ""), TOLD);
}
