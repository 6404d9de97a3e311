/** A picture from outside: drop it, and watch its code being found. */

import { floats, bytes, streamFile } from "./api.js";
import { decodeAll, Live } from "./decode.js";
import { $, complain, guard, say, short, showWhen } from "./dom.js";
import { hand } from "./hand.js";
import { drawHeat } from "./heat.js";
import { canvasOf, draw } from "./picture.js";
import { lineChart } from "./plot.js";
import { run, searching } from "./run.js";
import { frame } from "./sheet.js";
import { openPanel } from "./tabs.js";
import { showNeighbours } from "./tray.js";

const LARGEST = 20 * 2 ** 20;

/** The pixels that were dropped last, as the decoder sees them; for painting. */
export const dropped = { pixels: null, name: "" };

let stopping = null;
let residuals = [];
/** What the encoder found: {residual, seconds}, or null in a run without one. */
let encoded = null;

/** Bind the button, the whole page as a place to drop, and pasting. */
export function startEncode() {
  $("drop-ready").hidden = searching() !== "ready";
  $("drop-none").hidden = searching() === "ready";
  showWhen($("drop-none"), searching());
  if (searching() !== "ready") return;
  $("file").addEventListener("change", () => {
    if ($("file").files[0]) encode($("file").files[0]);
    // The same file may be chosen again.
    $("file").value = "";
  });
  bindDrop();
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) encode(file);
  });
  $("drop-stop").addEventListener("click", () => stopping?.abort());
  // The panel may be opened before anything is decoded.
  hand.addEventListener("picture", () => $("tries").children.length === 0 && showTries());
}

function bindDrop() {
  let depth = 0;
  const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (change) => {
    depth = change === 0 ? 0 : depth + change;
    document.body.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", (event) => carriesFile(event) && mark(1));
  document.addEventListener("dragleave", (event) => carriesFile(event) && mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(0);
    if (event.dataTransfer.files[0]) encode(event.dataTransfer.files[0]);
  });
}

/** Changes of a picture: where pixel (x, y) of `size` comes from, and what becomes of its value. */
const CHANGES = {
  "as it is": {},
  mirrored: { from: (x, y, [w]) => [w - 1 - x, y] },
  "upside down": { from: (x, y, [, h]) => [x, h - 1 - y] },
  shifted: { from: (x, y, [w]) => [x - Math.round(w / 4), y] },
  negative: { value: (value) => 255 - value },
  noisy: { value: (value) => value + 160 * (Math.random() - 0.5) },
};

/** The panel is opened: offer the picture in hand, changed in several ways. */
export function showTries() {
  if (searching() !== "ready" || !hand.picture) return;
  const frames = Object.entries(CHANGES).map(([name, change]) => {
    const picture = changed(hand.about.image?.pixels ?? hand.picture, change);
    const about = { source: `The picture in hand, ${name}` };
    return frame({ picture, edge: name, about, onpick: () => encodePixels(picture, name) });
  });
  $("tries").replaceChildren(...frames);
}

/** Return a picture, uint8 (H * W * C), after a change; pixels from outside are those of a corner. */
function changed(pixels, { from = (x, y) => [x, y], value = (v) => v }) {
  const [channels, h, w] = run.shape;
  return Uint8ClampedArray.from(pixels, (_, i) => {
    const at = Math.floor(i / channels);
    const [x, y] = from(at % w, Math.floor(at / w), [w, h]);
    const inside = x >= 0 && x < w;
    return value(pixels[(inside ? y * w + x : 0) * channels + (i % channels)]);
  });
}

const encodePixels = (picture, name) =>
  canvasOf(picture).toBlob((blob) => encode(new File([blob], `picture in hand, ${name}.png`)));

/** Send a file and show its code being found. A second file ends the search for the first. */
const encode = guard(async (file) => {
  if (file.size > LARGEST) throw new Error(`${file.name} has over 20 MB: give a smaller file.`);
  openPanel("drop");
  stopping?.abort();
  const mine = (stopping = new AbortController());
  begin();
  try {
    for await (const line of streamFile("api/encode", file, mine.signal)) {
      if (mine !== stopping) return;
      await answers[line.kind](line);
    }
  } catch (error) {
    if (mine === stopping) fail(error);
  } finally {
    if (mine === stopping) $("drop-stop").hidden = true;
  }
});

const live = new Live((_, picture) => showFound(picture), complain);

const answers = {
  seen: showSeen,
  encoded: showEncoded,
  step: showStep,
  again: showAgain,
  done: showDone,
};

function begin() {
  residuals = [];
  encoded = null;
  $("drop-seconds").textContent = "";
  $("drop-result").hidden = false;
  $("drop-ready").classList.add("has-result");
  $("drop-verdict").textContent = "Reading the file.";
  $("drop-result").dataset.state = "working";
  $("drop-progress").value = 0;
  $("drop-stop").hidden = false;
  $("drop-neighbours").replaceChildren();
  $("drop-near").hidden = true;
}

function showSeen({ pixels, name }) {
  dropped.pixels = bytes(pixels);
  dropped.name = name;
  draw($("seen-picture"), dropped.pixels);
  $("seen-name").textContent = name;
  $("drop-verdict").textContent = "Looking for its code.";
  document.dispatchEvent(new Event("dropped"));
}

/** Show the code of the encoder, the first of the search. */
function showEncoded(line) {
  encoded = line;
  showStep({ ...line, share: 0 });
  $("drop-seconds").textContent = encoderText();
  $("drop-verdict").textContent = "Encoded; the search goes on from there.";
}

const encoderText = () =>
  encoded ? `encoder ${short(encoded.residual)} in ${Math.ceil(1000 * encoded.seconds)} ms` : "";

/** The code of the encoder led nowhere: the search begins anew, at many codes. */
function showAgain() {
  residuals = [];
  $("drop-verdict").textContent = "Unlike the training examples; looking again, from many codes.";
}

function showStep({ share, residual, code }) {
  $("drop-progress").value = share;
  residuals.push({ x: share, y: residual });
  drawResiduals();
  $("drop-residual").textContent = short(residual);
  live.ask(floats(code));
}

function showFound(picture) {
  draw($("found-picture"), picture);
  drawHeat($("heat-picture"), dropped.pixels, picture);
}

function drawResiduals(typical = run.typical_residual) {
  const chart = lineChart({
    name: "Squared error while the code is found",
    lines: [{ points: residuals, name: "this picture" }],
    level: typical ? { y: typical, name: "a typical training example" } : null,
    log: true,
    x: { low: 0, high: 1, name: "of the search", form: (x) => `${Math.round(100 * x)} %` },
    height: 230,
  });
  $("drop-curve").replaceChildren(chart);
}

async function showDone(line) {
  const code = floats(line.code);
  residuals.push({ x: 1, y: line.residual });
  drawResiduals(line.typical_residual);
  showFound((await decodeAll([code]))[0]);
  $("drop-progress").value = 1;
  $("drop-residual").textContent = short(line.residual);
  $("drop-result").dataset.state = "done";
  $("drop-verdict").textContent = verdict(line);
  say(verdict(line));
  const name = dropped.name.replace(/\.[^.]*$/, "") || "picture";
  const about = { source: `Code found for ${dropped.name}`, name, image: { ...dropped } };
  hand.take(code, { ...about, from: "drop" });
  showTries();
  $("drop-near").hidden = false;
  $("drop-stop").hidden = true;
  const search = `search ${short(line.residual)} in ${line.seconds.toFixed(1)} s`;
  $("drop-seconds").textContent = [encoderText(), search].filter(Boolean).join("; ");
  await showNeighbours($("drop-neighbours"), code);
}

/** Return in words what the residual means beside that of the examples of training. */
function verdict({ residual, typical_residual: typical, converged }) {
  const end = converged ? "" : " The search had not come to rest when its steps ran out.";
  if (!typical) return `Its code is found: squared error ${short(residual)}.${end}`;
  const times = residual / typical;
  const beside = `${short(residual)} beside ${short(typical)} for a typical training example`;
  if (times < 2) return `The model knows pictures like this one: error ${beside}.${end}`;
  if (times < 6) return `The model comes near: error ${beside}.${end}`;
  return `The model does not know pictures like this one: error ${beside}.${end}`;
}

function fail(error) {
  $("drop-result").dataset.state = "failed";
  if (error.name === "AbortError") {
    $("drop-verdict").textContent = "Stopped.";
    return;
  }
  // The verdict is in view, and a screen reader says it: once is enough.
  $("drop-verdict").textContent = error.message;
}
