/** Sliders along the principal directions of the codes, each with what it does to the picture. */

import { floats, get } from "./api.js";
import { decodeAll } from "./decode.js";
import { $, el, guard } from "./dom.js";
import { hand } from "./hand.js";
import { draw } from "./picture.js";
import { run } from "./run.js";

const REACH = 3;
const STOPS = [-3, -2, -1, 0, 1, 2, 3];

let basis = null;
/** The sliders begin at this code, not yet brought under the constraint, at these places. */
let base = null;
let places = [];
/** The code to go back to. */
let before = null;
let rows = [];

/** Read the directions and make a slider for each. */
export async function startDirections() {
  const answer = await get("api/directions");
  basis = {
    k: answer.k,
    mean: floats(answer.mean),
    components: floats(answer.components),
    scales: floats(answer.scales),
    explained: answer.explained,
  };
  rows = Array.from({ length: basis.k }, (_, k) => makeRow(k));
  $("direction-list").replaceChildren(...rows.map((row) => row.item));
  $("directions-empty").hidden = basis.k > 0;
  $("directions-reset").addEventListener("click", () => before && hand.take(before, label()));
  $("directions-mean").addEventListener("click", () => hand.take(basis.mean, label("Mean code")));
  hand.addEventListener("change", follow);
  hand.addEventListener("settle", guard(drawStrips));
}

const label = (source = "Before the sliders") => ({ source, name: "code", from: "reset" });

function makeRow(k) {
  const name = `Direction ${k + 1}`;
  const slider = el("input", {
    type: "range",
    min: -REACH,
    max: REACH,
    step: 0.05,
    value: 0,
    "aria-label": `${name}, in standard deviations`,
  });
  const value = el("output", {}, "0");
  const share = el("span", { class: "quiet" }, `${(100 * basis.explained[k]).toFixed(1)} %`);
  const strip = el("div", { class: "stops", "aria-hidden": "true" });
  // What a stop does, the slider does too: it is for the pointer alone.
  const stops = STOPS.map((stop) => {
    const canvas = el("canvas", { title: `${stop} standard deviations` });
    canvas.addEventListener("click", () => move(k, stop));
    return canvas;
  });
  strip.append(...stops);
  slider.addEventListener("input", () => move(k, Number(slider.value)));
  const head = el("div", { class: "direction-head" }, el("b", {}, name), share, value);
  return { item: el("li", { class: "direction" }, head, strip, slider), slider, value, stops };
}

/** Put one slider at a place and take up the code that all of them now make. */
function move(k, place) {
  places[k] = place;
  if (hand.about.from !== "directions") before = hand.code;
  hand.take(codeAt(places), {
    source: "Moved along principal directions",
    name: "moved",
    from: "directions",
  });
  show(k);
}

/** Return the code at places on the directions: the base moved by each difference. */
function codeAt(wanted) {
  const code = Float32Array.from(base.code);
  wanted.forEach((place, k) => {
    const step = (place - base.places[k]) * basis.scales[k];
    for (let d = 0; d < code.length; d++) code[d] += step * basis.components[k * code.length + d];
  });
  return code;
}

/** Another panel took up a code: show where it lies on each direction. */
function follow() {
  if (hand.about.from === "directions" || $("panel-directions").hidden) return;
  places = Array.from({ length: basis.k }, (_, k) => placeOf(hand.code, k));
  base = { code: hand.code, places: [...places] };
  places.forEach((_, k) => show(k));
}

/** Return how many standard deviations a code lies from the mean along direction k. */
function placeOf(code, k) {
  let sum = 0;
  for (let d = 0; d < run.code_dim; d++) {
    sum += (code[d] - basis.mean[d]) * basis.components[k * run.code_dim + d];
  }
  return basis.scales[k] > 0 ? sum / basis.scales[k] : 0;
}

function show(k) {
  rows[k].slider.value = places[k];
  rows[k].value.textContent = places[k].toFixed(2).replace("-", "\u2212");
}

/** Draw what each slider would do from here; one batch, and only while the panel is seen. */
async function drawStrips() {
  if ($("panel-directions").hidden || !base) return;
  const codes = rows.flatMap((_, k) =>
    STOPS.map((stop) => codeAt(places.map((place, j) => (j === k ? stop : place)))),
  );
  const of = hand.code;
  const pictures = await decodeAll(codes);
  if (of !== hand.code) return;
  rows.forEach((row, k) =>
    row.stops.forEach((canvas, i) => draw(canvas, pictures[k * STOPS.length + i])),
  );
}

/** Catch up with the hand when the panel is opened. */
export const showDirections = guard(async () => {
  if (!basis || !hand.code) return;
  follow();
  await drawStrips();
});
