/** Cells of the tables of training examples. */

import { postRaw } from "./api.js";
import { el, guard, short } from "./dom.js";
import { hand } from "./hand.js";
import { exampleAbout, isImage, labelName, run } from "./run.js";

/** Return the codes of rows, (n * D). */
export async function fetchCodes(rows) {
  const response = await postRaw("api/codes", Int32Array.from(rows));
  return new Float32Array(await response.arrayBuffer());
}

/** Whether the table can show the examples themselves, not only what their codes decode to. */
export const hasImages = () => isImage() && run.data;

/** Return the head of an example's row: a button with number and identity that takes it in hand. */
export function nameCell(example) {
  const { row, id } = example;
  const about = { ...exampleAbout(example), from: "table" };
  const title = `Take ${about.source} in hand`;
  const button = el("button", { type: "button", class: "plain", title, "aria-label": title });
  button.append(id ? `${row} (${id})` : `${row}`);
  button.addEventListener("click", guard(async () => hand.take(await fetchCodes([row]), about)));
  return el("th", { scope: "row" }, button);
}

/** Return a cell with the picture of an example, loaded when it comes into view. */
export function imageCell(example) {
  const image = el("img", {
    src: `api/example/${example.row}/image`,
    alt: exampleAbout(example).source,
    loading: "lazy",
    width: 56,
    height: 56,
  });
  return el("td", {}, image);
}

/** Return a cell with a canvas that is not drawn yet. */
export function canvasCell(example, name) {
  const label = `${name} of ${exampleAbout(example).source}`;
  return el("td", {}, el("canvas", { role: "img", "aria-label": label, class: name.toLowerCase() }));
}

/** Return cells of error, with a bar up to the `largest`, and of percentile. */
export function errorCells({ error, percentile }, largest) {
  if (!Number.isFinite(error)) return [el("td", {}), el("td", {})];
  const bar = el("meter", { min: 0, max: largest, value: error, "aria-hidden": "true" });
  return [
    el("td", { class: "number" }, short(error), bar),
    el("td", { class: "number" }, percentile.toFixed(percentile > 99.9 ? 3 : 1)),
  ];
}

/** Return a cell with the label of an example, or nothing in a run without labels. */
export function labelCell({ label }) {
  if (run.labels.length === 0) return [];
  const name = labelName(label);
  const dot = el("i", { class: `dot c${label % 10} s${Math.floor(label / 10) % 3}` });
  return [el("td", {}, ...(name === null ? [] : [el("span", { class: "labelled" }, dot, name)]))];
}
