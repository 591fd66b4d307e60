/** One tab stop for a list of many controls: arrows, Home and End move within it. Knows nothing of what they do. */

/**
 * @param list contains the controls, which may come and go
 * @param selector finds them
 */
export function roving(list, selector) {
  let current;
  const controls = () => [...list.querySelectorAll(selector)];
  const choose = (control) => {
    current = control;
    for (const each of controls()) each.tabIndex = each === current ? 0 : -1;
  };
  const settle = () => choose(list.contains(current) ? current : controls()[0]);
  list.addEventListener("focusin", ({ target }) => {
    if (target !== current && target.matches(selector)) choose(target);
  });
  list.addEventListener("keydown", (event) => {
    if (!event.target.matches(selector) || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = controls().filter((control) => !control.hidden);
    const at = all.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (all[to] === undefined) return;
    event.preventDefault();
    all[to].focus();
  });
  new MutationObserver(settle).observe(list, { childList: true, subtree: true });
  settle();
}
