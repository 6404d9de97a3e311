/**
 * The mark of the picture in hand on the map, and lines to the examples that it is a mean of.
 *
 * It is a drawing of its own above the points, not a second canvas: when it moves, the browser
 * paints only the little that changed, and pictures come faster.
 */

import { $ } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";

/** Parts are made once and moved from then on. */
const parts = { lines: [], rings: [], halo: null, here: null };

function make(tag, attributes) {
  const made = document.createElementNS(SPACE, tag);
  set(made, attributes);
  $("map-cursor").append(made);
  return made;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

/** Make the parts: lines and rings for so many examples, below the mark itself. */
function prepare(count) {
  while (parts.lines.length < count) {
    parts.lines.push(make("line", {}));
    parts.rings.push(make("circle", { r: 5 }));
    parts.here?.remove();
    parts.halo?.remove();
    parts.here = parts.halo = null;
  }
  parts.halo ??= make("circle", { r: 10, class: "halo" });
  parts.here ??= make("circle", { r: 10, class: "here" });
}

/** Move the mark to a place, and its lines to the examples `near` it; null hides everything. */
export function drawCursor(data, view, cursor, near) {
  $("map-cursor").toggleAttribute("hidden", !cursor);
  if (!cursor) return;
  prepare(near.length);
  const at = view.toPoint(cursor.x, cursor.y);
  for (const part of [parts.halo, parts.here]) set(part, { cx: at.x, cy: at.y });
  parts.lines.forEach((line, k) => {
    const shown = k < near.length;
    line.toggleAttribute("hidden", !shown);
    parts.rings[k].toggleAttribute("hidden", !shown);
    if (!shown) return;
    const { i } = near[k];
    const to = view.toPoint(data.xy[2 * i], data.xy[2 * i + 1]);
    set(line, { x1: at.x, y1: at.y, x2: to.x, y2: to.y });
    set(parts.rings[k], { cx: to.x, cy: to.y });
  });
}
