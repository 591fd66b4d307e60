/** The person in front of a pane: a name, an id that outlives a reload, a colour. */

const HUES = [264, 45, 150, 330, 205, 95, 15, 300];

/** A person by name: the same one again after a reload, somebody else in another tab. */
export function personOf(name) {
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "") || "guest";
  return { name, id: `${slug}-${suffix(`edgerooms-demo:id:${name}`)}` };
}

/** Something short that nobody else has. Not crypto.randomUUID: a phone reaches a developer's machine over http. */
export function shortId(length) {
  return [...crypto.getRandomValues(new Uint8Array(length))].map((byte) => (byte % 36).toString(36)).join("");
}

/** What to call an id of which nothing else is known any more. */
export function plainName(id) {
  return id.replace(/-[a-z0-9]{4}$/, "").replace(/^./, (letter) => letter.toUpperCase());
}

/** Colours an element by its person: the style sheet makes a colour of the hue. */
export function colour(element, id) {
  let hash = 0;
  for (const unit of plainName(id)) hash = (hash * 31 + unit.codePointAt(0)) % 997;
  element.style.setProperty("--hue", String(HUES[hash % HUES.length]));
  return element;
}

function suffix(key) {
  try {
    const kept = sessionStorage.getItem(key) ?? shortId(4);
    sessionStorage.setItem(key, kept);
    return kept;
  } catch {
    return shortId(4); // storage is forbidden: a reload makes somebody new
  }
}
