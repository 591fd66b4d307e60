/** How somebody gets in: by themselves in development, else with a token; and why one was not good enough. */
import { write } from "./element.js";
import { plain } from "./format.js";

export class SignIn {
  #form;
  #tokens;
  #api;
  #onIn;

  /** @param onIn told when there is a token that may see the list of rooms */
  constructor(form, tokens, api, onIn) {
    this.#form = form;
    this.#tokens = tokens;
    this.#api = api;
    this.#onIn = onIn;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      tokens.paste(form.elements.token.value);
      form.elements.token.value = "";
      void this.#try();
    });
    form.querySelector(".develop").addEventListener("click", () => void this.#develop());
  }

  /** With what there is: a token from before a reload, or one of development. */
  async begin() {
    this.#busy(true);
    const token = await this.#tokens.first();
    if (token === undefined) this.ask();
    else await this.#try();
  }

  async #develop() {
    this.#busy(true);
    if ((await this.#tokens.develop()) !== undefined) return this.#try();
    this.ask({ message: "This Worker hands out no tokens: it is not in development, or out of reach." });
  }

  /** Asks for a token; the problem says why the last one was not good enough. */
  ask(problem) {
    this.#busy(false);
    this.#form.hidden = false;
    const reason = this.#form.querySelector(".reason");
    reason.hidden = !problem;
    if (problem) this.#explain(reason, problem);
    if (matchMedia("(pointer: fine)").matches) this.#form.elements.token.focus();
  }

  async #try() {
    this.#busy(true);
    try {
      await this.#api.get("rooms");
    } catch (problem) {
      // A token that is refused was told of already; without a directory there are rooms all the same.
      if (problem.isRefusal) return;
      if (problem.status !== 404) return this.ask(problem);
    }
    this.#busy(false);
    this.#form.hidden = true;
    this.#onIn();
  }

  #explain(reason, { code, message, requestId }) {
    write(reason.querySelector("strong"), titleOf(code));
    write(reason.querySelector("span"), plain(message));
    write(reason.querySelector("code"), requestId ? `request ${plain(requestId)}` : "");
  }

  #busy(isBusy) {
    for (const button of this.#form.querySelectorAll("button")) button.disabled = isBusy;
  }
}

function titleOf(code) {
  if (code === "token_expired") return "The token has expired.";
  if (code === "unauthorized") return "The token was refused.";
  if (code === "forbidden") return "This token is no admin: it lacks the grant admin.";
  return "Signing in did not work.";
}
