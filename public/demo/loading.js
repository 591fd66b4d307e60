/**
 * What stands on the page until its code is there: how long that takes, and what could not be loaded. A script of its own,
 * because it has to run when the others do not arrive. Knows nothing of them; main.js takes the element away.
 */
(() => {
  const began = performance.now();
  const line = () => document.querySelector("#loading p");
  const timer = setInterval(() => {
    const text = line();
    if (!text) return clearInterval(timer);
    const files = performance.getEntriesByType("resource").length;
    text.textContent = `Loading the page’s code … ${files} files, ${Math.round((performance.now() - began) / 1_000)} s`;
  }, 1_000);
  const failed = ({ target }) => {
    if (!(target instanceof HTMLScriptElement || target instanceof HTMLLinkElement) || !line()) return;
    clearInterval(timer);
    line().textContent = `${new URL(target.src || target.href).pathname} could not be loaded. Is the Worker out of reach? Reload the page to try again.`;
  };
  // Such errors do not bubble.
  addEventListener("error", failed, { capture: true });
})();
