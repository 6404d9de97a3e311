/** The training examples that the model reconstructs worst. */

import { floats, get } from "./api.js";
import { decodeAll, split } from "./decode.js";
import { $, el, guard, short } from "./dom.js";
import { hand } from "./hand.js";
import { draw } from "./picture.js";
import { exampleAbout, isImage, labelName, run } from "./run.js";

const ROWS = 60;
let began = false;

/** Fill the table when the panel is opened for the first time. */
export const showWorst = guard(async () => {
  if (began) return;
  began = true;
  $("worst-text").textContent = "Looking for the largest errors.";
  let answer;
  try {
    answer = await get(`api/worst?n=${ROWS}`);
  } catch (error) {
    began = false;
    $("worst-text").textContent = error.message;
    return;
  }
  fill(answer);
  const codes = split(floats(answer.codes));
  const pictures = await decodeAll(codes);
  $("worst-rows").querySelectorAll("canvas").forEach((canvas, i) => draw(canvas, pictures[i]));
});

function fill({ rows, codes }) {
  const typical = run.typical_residual;
  $("worst-text").textContent = typical
    ? `Squared error of each; a typical example has ${short(typical)}.`
    : "Squared error of each, largest first.";
  $("worst-table").hidden = rows.length === 0;
  const parts = split(floats(codes));
  const showImage = isImage() && run.data;
  $("worst-image-head").hidden = !showImage;
  $("worst-label-head").hidden = run.labels.length === 0;
  $("worst-rows").replaceChildren(
    ...rows.map((row, i) => tableRow(row, parts[i], rows[0].error, showImage)),
  );
}

function tableRow(example, code, largest, showImage) {
  const { row, id, error, label } = example;
  const about = { ...exampleAbout(example), from: "worst" };
  const { source } = about;
  const take = el("button", { type: "button", class: "plain", title: `Take ${source} in hand` });
  take.append(id ? `${row} (${id})` : `${row}`);
  take.setAttribute("aria-label", `Take ${source} in hand`);
  take.addEventListener("click", () => hand.take(code, about));
  const bar = el("meter", { min: 0, max: largest, value: error, "aria-hidden": "true" });
  const image = el("img", {
    src: `api/example/${row}/image`,
    alt: source,
    loading: "lazy",
    width: 56,
    height: 56,
  });
  const cells = [
    el("th", { scope: "row" }, take),
    showImage ? el("td", {}, image) : null,
    el("td", {}, el("canvas", { role: "img", "aria-label": `Reconstruction of ${source}` })),
    el("td", { class: "number" }, short(error), bar),
    run.labels.length ? el("td", {}, labelName(label) ?? "") : null,
  ];
  return el("tr", {}, ...cells.filter(Boolean));
}
