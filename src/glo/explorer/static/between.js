/** Two pictures, and everything between them. */

import { base64, floats, post } from "./api.js";
import { decodeAll, split } from "./decode.js";
import { $, guard, say, still } from "./dom.js";
import { hand } from "./hand.js";
import { draw } from "./picture.js";
import { exampleAbout } from "./run.js";
import { saveNpy, saveSheet } from "./save.js";
import { codeMap } from "./map.js";
import { frame } from "./sheet.js";

const STEPS = 49;
const SHOWN = 9;

const ends = { a: null, b: null };
let walk = { codes: [], pictures: [], all: null };
let asked = 0;
let playing = 0;

/** Bind the panel and the two buttons beside the picture in hand. */
export function startBetween() {
  for (const end of ["a", "b"]) {
    for (const id of [`hand-${end}`, `between-${end}-set`]) {
      $(id).addEventListener("click", () => setEnd(end, hand.code, hand.about));
    }
    $(`between-${end}`).addEventListener("click", () => ends[end] && take(ends[end]));
  }
  $("between-swap").addEventListener("click", swap);
  $("between-at").addEventListener("input", () => showStep(Number($("between-at").value)));
  $("between-play").addEventListener("click", () => (playing ? stop() : play()));
  $("between-path").addEventListener("change", guard(update));
  $("between-png").addEventListener("click", () => saveSheet(every(8), "between", 9));
  $("between-npy").addEventListener("click", () => saveNpy(walk.all, "between"));
}

const every = (step) => walk.pictures.filter((_, i) => i % step === 0);
const take = (end) => hand.take(end.code, end.about);

/** The panel is opened: where no end was chosen, begin with two examples that differ. */
export const showBetween = guard(async () => {
  if (ends.a && ends.b) return;
  const data = codeMap.data;
  if (!data || data.n < 2) return;
  const other = Array.from(data.rows.keys()).find((i) => data.label(i) !== data.label(0)) ?? 1;
  ends.a ??= example(data, 0);
  ends.b ??= example(data, other);
  await update();
});

function example(data, i) {
  const about = { ...exampleAbout(data.example(i)), from: "between" };
  return { code: data.code(i), about };
}

const setEnd = guard(async (end, code, about) => {
  if (!code) return;
  ends[end] = { code, about };
  say(`${end.toUpperCase()} is ${about.source}.`);
  await update();
});

const swap = guard(async () => {
  [ends.a, ends.b] = [ends.b, ends.a];
  await update();
});

/** Walk from A to B and decode all of it: the slider then needs no server. */
async function update() {
  stop();
  const ready = Boolean(ends.a && ends.b);
  $("between-ready").hidden = $("between-save").hidden = !ready;
  $("between-empty").hidden = ready;
  if (!ready) return;
  const mine = ++asked;
  const path = document.querySelector("input[name=path]:checked").value;
  const wish = { from: base64(ends.a.code), to: base64(ends.b.code), steps: STEPS, path };
  const all = floats((await post("api/walk", wish)).codes);
  const codes = split(all);
  const pictures = await decodeAll(codes);
  if (mine !== asked) return;
  walk = { codes, pictures, all };
  drawEnds();
  drawStrip();
  $("between-at").max = codes.length - 1;
  showStep(Math.min(codes.length - 1, Number($("between-at").value)), false);
}

function drawEnds() {
  draw($("between-a-picture"), walk.pictures[0]);
  draw($("between-b-picture"), walk.pictures.at(-1));
  $("between-a-name").textContent = ends.a.about.source;
  $("between-b-name").textContent = ends.b.about.source;
}

function drawStrip() {
  const last = walk.codes.length - 1;
  const stops = Array.from({ length: SHOWN }, (_, i) => Math.round((i * last) / (SHOWN - 1)));
  const frames = stops.map((i) =>
    frame({
      picture: walk.pictures[i],
      edge: `${Math.round((100 * i) / last)} %`,
      about: { source: `${Math.round((100 * i) / last)} % of the way from A to B` },
      onpick: () => showStep(i),
    }),
  );
  $("between-strip").replaceChildren(...frames);
}

/** Show one step of the walk; `taken` unless it only comes with a new walk. */
function showStep(i, taken = true) {
  const share = `${Math.round((100 * i) / (walk.codes.length - 1))} %`;
  $("between-at").value = i;
  $("between-at").setAttribute("aria-valuetext", `${share} from A to B`);
  $("between-share").textContent = share;
  draw($("between-picture"), walk.pictures[i]);
  const about = { source: `${share} of the way from A to B`, name: `between-${i}` };
  if (taken) hand.take(walk.codes[i], { ...about, from: "between" });
}

/** Go there and back until stopped; slower for whoever wants less motion. */
function play() {
  let step = Number($("between-at").value);
  let way = 1;
  const next = () => {
    const last = walk.codes.length - 1;
    if (step + way < 0 || step + way > last) way = -way;
    step += way;
    showStep(step);
  };
  playing = setInterval(next, still() ? 400 : 50);
  $("between-play").textContent = "Stop";
}

/** Stop playing, as when the panel is left. */
export function stop() {
  clearInterval(playing);
  playing = 0;
  $("between-play").textContent = "Play";
}
