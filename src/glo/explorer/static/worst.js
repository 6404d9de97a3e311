/** The training examples that the model reconstructs worst. */

import { floats, get } from "./api.js";
import { decodeAll, split } from "./decode.js";
import { $, el, guard, short } from "./dom.js";
import { canvasCell, errorCells, hasImages, imageCell, labelCell, nameCell } from "./examples.js";
import { drawHeat, heatLimit } from "./heat.js";
import { draw, pixelsOf, size } from "./picture.js";
import { run } from "./run.js";
import { selection } from "./selection.js";
import { openPanel } from "./tabs.js";

const ROWS = 60;
/** The examples that are listed, and whether they were asked for. */
let listed = [];
let began = false;

/** Bind the order and the selection of the table. */
export function startWorst() {
  for (const input of document.querySelectorAll("#worst-order input")) {
    input.addEventListener("change", () => load(input.value));
  }
  $("worst-select").addEventListener("click", () => {
    selection.change(listed.map(({ row }) => row));
    openPanel("map");
  });
  for (const name of ["image", "heat"]) $(`worst-${name}-head`).hidden = !hasImages();
  $("worst-scale").hidden = !hasImages();
  $("worst-limit").textContent = `${short(heatLimit())} or more`;
  $("worst-label-head").hidden = run.labels.length === 0;
}

/** Fill the table when the panel is opened for the first time. */
export async function showWorst() {
  if (!began) await load("error");
}

const load = guard(async (by) => {
  began = true;
  $("worst-text").textContent = "Looking for them.";
  let answer;
  try {
    answer = await get(`api/worst?n=${ROWS}&by=${by}`);
  } catch (error) {
    began = false;
    $("worst-text").textContent = error.message;
    return;
  }
  listed = answer.rows;
  fill();
  const pictures = await decodeAll(split(floats(answer.codes)));
  if (listed !== answer.rows) return;
  [...$("worst-rows").children].forEach((row, i) => drawRow(row, pictures[i]));
});

function fill() {
  const typical = run.typical_residual;
  $("worst-text").textContent = typical
    ? `Typical squared error: ${short(typical)}`
    : "";
  $("worst-table").hidden = $("worst-select").hidden = listed.length === 0;
  const scored = listed.some(({ anomaly }) => anomaly !== null);
  $("worst-order").hidden = $("worst-anomaly-head").hidden = !scored;
  const largest = Math.max(...listed.map(({ error }) => error));
  $("worst-rows").replaceChildren(...listed.map((each) => tableRow(each, largest)));
}

function tableRow(example, largest) {
  return el(
    "tr",
    {},
    nameCell(example),
    ...(hasImages() ? [imageCell(example)] : []),
    canvasCell(example, "Reconstruction"),
    ...(hasImages() ? [canvasCell(example, "Error")] : []),
    ...errorCells(example, largest),
    ...(example.anomaly === null ? [] : [el("td", { class: "number" }, example.anomaly.toFixed(1))]),
    ...labelCell(example),
  );
}

/** Draw the reconstruction, and the errors as soon as the image is there. */
function drawRow(row, picture) {
  const [decoded, heat] = row.querySelectorAll("canvas");
  draw(decoded, picture);
  const image = row.querySelector("img");
  if (!heat) return;
  const drawErrors = () => drawHeat(heat, imagePixels(image), picture);
  if (image.complete && image.naturalWidth) drawErrors();
  else image.addEventListener("load", drawErrors);
}

/** Return the pixels of a loaded image, uint8 (H * W * C). */
function imagePixels(image) {
  const canvas = document.createElement("canvas");
  size(canvas, run.shape[2], run.shape[1]);
  canvas.getContext("2d").drawImage(image, 0, 0);
  return pixelsOf(canvas);
}
