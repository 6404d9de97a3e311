/** Contact sheets: small pictures in rows, each a button that takes its code in hand. */

import { decodeAll } from "./decode.js";
import { el } from "./dom.js";
import { hand } from "./hand.js";
import { draw } from "./picture.js";

/**
 * Return one frame of a sheet.
 *
 * @param {object} item `code`; `about` as the hand wants it; `edge`, what is printed below; `dot`,
 *   the number of a colour before it, or null; `onpick`, instead of taking the code in hand.
 */
export function frame(item) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const edge = el("span", { class: "edge" });
  if (item.dot !== null && item.dot !== undefined) {
    edge.append(el("i", { class: `dot c${item.dot % 10}`, "aria-hidden": "true" }));
  }
  edge.append(item.edge);
  const button = el("button", { type: "button", class: "frame", "aria-label": item.about.source });
  button.title = item.about.source;
  button.append(canvas, edge);
  button.addEventListener("click", () =>
    item.onpick ? item.onpick(item) : hand.take(item.code, item.about),
  );
  if (item.picture) draw(canvas, item.picture);
  return el("li", {}, button);
}

/** Fill a list with frames, then decode their codes together and draw them. */
export async function fillSheet(list, items) {
  const frames = items.map(frame);
  list.replaceChildren(...frames);
  list.setAttribute("aria-busy", "true");
  const pictures = await decodeAll(items.map((item) => item.code));
  frames.forEach((made, i) => draw(made.querySelector("canvas"), pictures[i]));
  items.forEach((item, i) => (item.picture = pictures[i]));
  list.setAttribute("aria-busy", "false");
  return pictures;
}
