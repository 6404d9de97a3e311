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
  fill(answer.rows);
  const pictures = await decodeAll(split(floats(answer.codes)));
  [...$("worst-rows").children].forEach((row, i) => drawRow(row, pictures[i]));
});

function fill(examples) {
  const typical = run.typical_residual;
  $("worst-text").textContent = typical
    ? `Squared error; a typical example has ${short(typical)}.`
    : "Squared error, largest first.";
  $("worst-table").hidden = $("worst-select").hidden = examples.length === 0;
  $("worst-select").addEventListener("click", () => {
    selection.change(examples.map(({ row }) => row));
    openPanel("map");
  });
  for (const name of ["image", "heat"]) $(`worst-${name}-head`).hidden = !hasImages();
  $("worst-scale").hidden = !hasImages();
  $("worst-limit").textContent = `${short(heatLimit())} or more`;
  $("worst-label-head").hidden = run.labels.length === 0;
  $("worst-rows").replaceChildren(...examples.map((each) => tableRow(each, examples[0].error)));
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
