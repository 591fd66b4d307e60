/** A button that asks in its own place before it does what cannot be undone. Knows nothing of what that is. */
import { make, write } from "./element.js";

let questions = 0;

/**
 * @param label of the button
 * @param question text or elements; a form control in there belongs to the question
 * @param act does it; settles when the button may be used again
 * @param verb the word on the button that confirms, asked anew after every change of the question; default: the label
 * @param className of the button
 * @returns the element to put somewhere
 */
export function careful({ label, question, act, verb = () => label, className = "quiet" }) {
  const first = button(label, className);
  const yes = button(verb(), "danger tiny", "submit");
  const no = button("Cancel", "quiet tiny");
  const text = make("span", "question", ...question);
  text.id = `question-${++questions}`;
  yes.setAttribute("aria-describedby", text.id);
  const form = make("form", "careful", text, yes, no);
  form.hidden = true;
  const ask = (isAsking) => {
    first.hidden = isAsking;
    form.hidden = !isAsking;
    if (isAsking) (form.querySelector("input") ?? yes).focus();
    else if (document.activeElement === document.body || form.contains(document.activeElement)) first.focus();
  };
  first.addEventListener("click", () => ask(true));
  no.addEventListener("click", () => ask(false));
  form.addEventListener("change", () => write(yes, verb()));
  form.addEventListener("keydown", ({ key }) => key === "Escape" && ask(false));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    yes.disabled = true;
    void act().finally(() => {
      yes.disabled = false;
      ask(false);
    });
  });
  return make("span", "confirmed", first, form);
}

function button(label, className, type = "button") {
  const made = make("button", className, label);
  made.type = type;
  return made;
}
