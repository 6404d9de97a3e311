/**
 * Light, dark, or whatever the system says. Loaded before the page is drawn, and not as a module,
 * so that a chosen theme does not flash in after the other one.
 */
"use strict";
(() => {
  const KEY = "glo-theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");

  /** Return what was chosen earlier; storage may be closed to us. */
  function kept() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // The choice then lasts as long as the page.
    }
  }

  const current = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");

  /** Tell the button what it does next, and whoever draws on a canvas that colours changed. */
  function tell() {
    const button = document.getElementById("theme");
    const next = current() === "dark" ? "light" : "dark";
    button.setAttribute("aria-label", `Use the ${next} theme`);
    button.title = `Use the ${next} theme`;
    document.dispatchEvent(new Event("themechange"));
  }

  if (["light", "dark"].includes(kept())) root.dataset.theme = kept();
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      keep(root.dataset.theme);
      tell();
    });
    dark.addEventListener("change", tell);
    tell();
  });
})();
