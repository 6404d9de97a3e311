/** A picture from outside: drop it, and watch its code being found. */

import { floats, bytes, streamFile } from "./api.js";
import { decodeAll, Live } from "./decode.js";
import { $, complain, guard, say, short, showWhen } from "./dom.js";
import { hand } from "./hand.js";
import { drawHeat } from "./heat.js";
import { draw } from "./picture.js";
import { lineChart } from "./plot.js";
import { run, searching } from "./run.js";
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
  hand.take(code, { source: `Code found for ${dropped.name}`, name, from: "drop" });
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
