/** The legend of the map: every label with its colour, a button that filters. */

import { el } from "./dom.js";
import { labelName } from "./run.js";

/**
 * Fill the legend with one toggle for each label that is on the map.
 *
 * @param {HTMLElement} list where.
 * @param {MapData} data what is on the map.
 * @param {Set<number>} chosen the labels that are shown alone; empty for all. It is changed.
 * @param {function} changed called at first and after each change.
 */
export function fillLegend(list, data, chosen, changed) {
  list.hidden = data.labels === null;
  if (data.labels === null) {
    changed();
    return;
  }
  const labels = [...new Set(data.labels)].filter((label) => label >= 0).sort((a, b) => a - b);
  const toggles = labels.map((label) => toggle(label, chosen, () => update()));
  const all = el("button", { type: "button", class: "chip", onclick: () => update(true) }, "All");
  list.replaceChildren(all, ...toggles);

  function update(clear = false) {
    if (clear || chosen.size === labels.length) chosen.clear();
    toggles.forEach((button, i) =>
      button.setAttribute("aria-pressed", String(chosen.has(labels[i]))),
    );
    all.disabled = chosen.size === 0;
    changed();
  }
  update();
}

function toggle(label, chosen, update) {
  const dot = el("i", { class: `dot c${label % 10} s${Math.floor(label / 10) % 3}` });
  const button = el("button", { type: "button", class: "chip", "aria-pressed": "false" });
  button.append(dot, labelName(label));
  button.addEventListener("click", () => {
    if (!chosen.delete(label)) chosen.add(label);
    update();
  });
  return button;
}
