/** The only two ways in which text gets into the page. Both take it as text, never as HTML. */

/** A new element with text or elements in it. */
export function make(name, className, ...content) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

/** Changes an element's text; leaves alone what says so already, a screen reader would read it again. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
