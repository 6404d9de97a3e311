/** The panels and their tabs; the address remembers which one is open. */

import { $ } from "./dom.js";

const opened = new EventTarget();
let current = "";

const tabs = () => [...$("tabs").querySelectorAll("[role=tab]")];
const usable = () => tabs().filter((tab) => !tab.hidden);

/** Call `work` whenever the panel of that name is opened. */
export function onOpen(name, work) {
  opened.addEventListener(name, work);
}

/** Open a panel. */
export function openPanel(name) {
  if (name === current) return;
  if (current) opened.dispatchEvent(new Event(`${current} left`));
  current = name;
  for (const tab of tabs()) {
    const chosen = tab.dataset.panel === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    $(`panel-${tab.dataset.panel}`).hidden = !chosen;
    if (chosen) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  history.replaceState(null, "", `#${name}`);
  opened.dispatchEvent(new Event(name));
}

/** Bind the tabs and open the panel that the address names, or the first. */
export function startTabs() {
  for (const tab of tabs()) tab.addEventListener("click", () => openPanel(tab.dataset.panel));
  $("tabs").addEventListener("keydown", (event) => {
    const all = usable();
    const at = all.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    const next = all[(to + all.length) % all.length];
    next.focus();
    openPanel(next.dataset.panel);
  });
  addEventListener("hashchange", openNamed);
  openNamed();
}

function openNamed() {
  const name = location.hash.slice(1);
  const known = usable().some((tab) => tab.dataset.panel === name);
  openPanel(known ? name : usable()[0].dataset.panel);
}
