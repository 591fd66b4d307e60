/** The page: who joins which room, from the address or a form; the links that bring others. */
import { make } from "../inspect/element.js";
import { Pane } from "./pane.js";
import { personOf } from "./person.js";

const NAMES = ["Ada", "Cleo", "Dev", "Eva", "Finn", "Gus", "Ines", "Juno", "Kai", "Lena", "Milo", "Nia", "Omar", "Pia"];

const byId = (id) => document.querySelector(`#${id}`);
const params = new URLSearchParams(location.search);
const room = params.get("room") || "lobby";
const name = params.get("name")?.trim().slice(0, 40) ?? "";
const isWide = matchMedia("(min-width: 62rem)").matches;
const isPair = params.has("panes") ? Number(params.get("panes")) > 1 : !params.has("room") && name === "" && isWide;

byId("loading").remove();
if (isPair) open(["Ann", "Bob"]);
else if (name === "") ask();
else open([name]);

function ask() {
  const form = byId("join").content.firstElementChild.cloneNode(true);
  const { elements } = form;
  elements.name.value = NAMES[Math.floor(Math.random() * NAMES.length)];
  elements.room.value = room;
  // Here and not in the page: a pattern is a program's.
  elements.room.pattern = String.raw`[A-Za-z0-9._~:@\-]+`;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`?${new URLSearchParams({ room: elements.room.value, name: elements.name.value.trim() })}`);
  });
  byId("main").append(form);
  elements.name.select();
}

function open(names) {
  byId("main").classList.toggle("pair", isPair);
  document.body.classList.add("in-room");
  const panes = names.map((each) => new Pane(personOf(each), room, announce));
  byId("main").append(...panes.map((pane) => pane.root));
  byId("lead").hidden = !isPair;
  document.title = `${names.join(" and ")} in ${room} – edgerooms`;
  setInterval(() => panes.forEach((pane) => pane.tick()), 250);
  links();
  // On a phone that would open the keyboard over the conversation.
  if (!isPair && matchMedia("(pointer: fine)").matches) panes[0].focus();
}

function links() {
  byId("room").textContent = room;
  document.querySelector(".where").hidden = byId("links").hidden = false;
  byId("inspect").href = `inspect/#room/${encodeURIComponent(room)}`;
  const invitation = new URL(`?${new URLSearchParams({ room })}`, location.href);
  byId("invite").href = invitation.href;
  byId("view").href = `?${new URLSearchParams(isPair ? { room } : { room, panes: 2 })}`;
  byId("view").textContent = isPair ? "One person" : "Side by side";
  const copy = byId("copy");
  // Only where the browser lets us: https, or this machine.
  copy.hidden = !navigator.clipboard;
  copy.addEventListener("click", () => {
    navigator.clipboard.writeText(invitation.href).then(
      () => announce((copy.textContent = "Copied")),
      () => (copy.textContent = "Not allowed"),
    );
    setTimeout(() => (copy.textContent = "Copy link"), 2_000);
  });
}

/** For people who do not see the page: one line at a time, the newest last. */
function announce(text) {
  const lines = byId("announcer");
  lines.append(make("span", "", `${text}. `));
  while (lines.childElementCount > 5) lines.firstElementChild.remove();
}
