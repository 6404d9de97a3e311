/** The table of the selected examples, below the map, and its downloads. */

import { floats, postRaw } from "./api.js";
import { decodeAll, split } from "./decode.js";
import { $, el, guard, later, say, whole } from "./dom.js";
import {
  canvasCell,
  errorCells,
  fetchCodes,
  hasImages,
  imageCell,
  labelCell,
  nameCell,
} from "./examples.js";
import { draw } from "./picture.js";
import { exampleAbout, run } from "./run.js";
import { saveBlob } from "./save.js";
import { selection } from "./selection.js";

/** Rows that are added at a time, when the last ones come into view. */
const AT_ONCE = 60;
/** Milliseconds without a change before the table is read again. */
const SETTLED = 120;

/** The selected examples in the order of the table, and how many of them are in it. */
let examples = [];
let listed = 0;
let order = { key: "error", sign: -1 };

/** Bind the table to the selection. */
export function startSelected() {
  selection.addEventListener("change", show);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input[type=text], input[type=number], select");
    if (event.key === "Escape" && !event.defaultPrevented && !typing) selection.clear();
  });
  $("selected-clear").addEventListener("click", () => selection.clear());
  $("selected-list").addEventListener("click", () => save("rows.txt"));
  $("selected-csv").addEventListener("click", () => save("rows.csv"));
  for (const button of sorters()) button.addEventListener("click", () => sortBy(button.dataset.key));
  $("selected-label-head").hidden = run.labels.length === 0;
  const watcher = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) more();
  });
  watcher.observe($("selected-more"));
}

const sorters = () => document.querySelectorAll("#selected-table thead button");

function show() {
  const count = selection.size;
  $("selected").hidden = count === 0;
  $("selected-count").textContent = `${whole(count)} selected`;
  say(count ? `${count} selected` : "Nothing selected");
  if (count) fill();
}

const save = guard(async (form) => {
  const response = await postRaw(`api/${form}`, selection.rows);
  saveBlob(await response.blob(), `${run.folder_name}-${form}`);
});

/** Read what the table shows about the selected examples, and begin it anew. */
const fill = later(guard(readTable), SETTLED);

async function readTable() {
  const { rows } = selection;
  if (rows.length === 0) return;
  const answer = await (await postRaw("api/rows", rows)).json();
  const current = rows.length === selection.size && rows.every((row) => selection.has(row));
  if (!current) return;
  const [errors, percentiles] = [floats(answer.errors), floats(answer.percentiles)];
  examples = Array.from(rows, (row, i) => ({
    row,
    id: answer.ids?.[i],
    label: answer.labels[i],
    error: errors[i],
    percentile: percentiles[i],
  }));
  const known = errors.some(Number.isFinite);
  for (const name of ["error", "percentile"]) $(`selected-${name}-head`).hidden = !known;
  if (!known && order.key === "error") order = { key: "row", sign: 1 };
  list();
}

function sortBy(key) {
  const first = key === "error" ? -1 : 1;
  order = { key, sign: order.key === key ? -order.sign : first };
  list();
}

/** List the examples in their order, from the first; unknown errors and labels come last. */
function list() {
  const { key, sign } = order;
  const value = (example) => (Number.isFinite(example[key]) ? sign * example[key] : Infinity);
  examples.sort((a, b) => value(a) - value(b) || a.row - b.row);
  for (const button of sorters()) {
    const sorted = button.dataset.key === key ? (sign > 0 ? "ascending" : "descending") : "none";
    button.closest("th").setAttribute("aria-sort", sorted);
  }
  listed = 0;
  $("selected-rows").replaceChildren();
  $("selected-scroll").scrollTop = 0;
  more();
}

/** Add the next examples to the table, then their pictures. */
const more = guard(async () => {
  const next = examples.slice(listed, listed + AT_ONCE);
  if (next.length === 0) return;
  listed += next.length;
  const rows = next.map(tableRow);
  $("selected-rows").append(...rows);
  if (hasImages()) return;
  const pictures = await decodeAll(split(await fetchCodes(next.map(({ row }) => row))));
  rows.forEach((row, i) => draw(row.querySelector("canvas"), pictures[i]));
});

function tableRow(example) {
  const known = !$("selected-error-head").hidden;
  const title = `Take ${exampleAbout(example).source} out of the selection`;
  const remove = el("button", { type: "button", class: "plain", title, "aria-label": title }, "×");
  remove.addEventListener("click", () => selection.toggle(example.row));
  return el(
    "tr",
    {},
    hasImages() ? imageCell(example) : canvasCell(example, "Decoded code"),
    nameCell(example),
    ...labelCell(example),
    ...(known ? errorCells(example, largest()) : []),
    el("td", {}, remove),
  );
}

const largest = () =>
  examples.reduce((most, { error }) => (error > most ? error : most), Number.MIN_VALUE);
