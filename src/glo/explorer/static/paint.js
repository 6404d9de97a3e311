/** Paint a hole or a scribble on an image, and see what the model puts there. */

import { base64, bytes, floats, streamJson } from "./api.js";
import { Painting } from "./brush.js";
import { split } from "./decode.js";
import { $, guard, say, short, showWhen, still } from "./dom.js";
import { dropped } from "./encode.js";
import { hand } from "./hand.js";
import { pixelsOf } from "./picture.js";
import { exampleAbout, findExample, run, searching } from "./run.js";
import { frame } from "./sheet.js";
import { openPanel } from "./tabs.js";

let painting = null;
let brush = null;
let stopping = null;

/** Bind the panel. */
export function startPaint() {
  $("paint-ready").hidden = searching() !== "ready";
  $("paint-none").hidden = searching() === "ready";
  showWhen($("paint-none"), searching());
  if (searching() !== "ready") return;
  bindSources();
  bindCanvas($("painting"));
  for (const button of $("paint-shapes").querySelectorAll("button")) {
    button.addEventListener("click", () => change(() => painting.shape(button.dataset.shape)));
  }
  $("paint-undo").addEventListener("click", () => change(() => painting.undo()));
  $("paint-clear").addEventListener("click", () => change(() => painting.clear()));
  $("brush-size").max = Math.ceil(Math.max(...run.shape) / 2);
  $("brush-size").value = Math.max(2, Math.round(run.shape[2] / 8));
  $("paint-form").addEventListener("submit", (event) => {
    event.preventDefault();
    restore();
  });
  document.addEventListener("themechange", redraw);
  hand.addEventListener("picture", () => $("panel-paint").hidden || showPaint());
}

function bindSources() {
  $("paint-hand").addEventListener("click", beginWithHand);
  $("hand-paint").addEventListener("click", () => {
    openPanel("paint");
    beginWithHand();
  });
  $("paint-dropped").addEventListener("click", () => begin(dropped.pixels, dropped.name));
  document.addEventListener("dropped", () => {
    $("paint-dropped").disabled = false;
    // Nothing was painted yet: the panel opens on the new picture.
    if (!painting?.hasPast) painting = null;
  });
  $("paint-blank").addEventListener("click", () => {
    begin(new Uint8Array(run.shape.reduce((a, b) => a * b)), "an empty sheet");
    change(() => painting.shape("all"));
    document.querySelector("input[name=tool][value=light]").checked = true;
  });
  $("paint-row-field").hidden = !run.data;
  $("paint-row-form").addEventListener("submit", (event) => {
    event.preventDefault();
    loadExample($("paint-row").value);
  });
}

/** Paint on the image of a training example itself, not on its reconstruction. */
const loadExample = guard(async (text) => {
  const example = await findExample(text);
  const { row } = example;
  const image = new Image();
  image.src = `api/example/${row}/image`;
  await image.decode().catch(() => {
    throw new Error(`The image of training example ${row} cannot be read.`);
  });
  const canvas = document.createElement("canvas");
  [, canvas.height, canvas.width] = run.shape;
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  begin(pixelsOf(canvas), exampleAbout(example).source);
});

/** Begin with another image. */
function begin(pixels, name) {
  if (!pixels) return;
  painting = new Painting(pixels);
  $("paint-name").textContent = name;
  redraw();
}

/** Begin with the picture in hand: the one from outside itself, not what its code decodes to. */
function beginWithHand() {
  const { image, source } = hand.about;
  begin(image?.pixels ?? hand.picture, image?.name ?? source);
}

/** The panel is opened: begin with the picture in hand. */
export function showPaint() {
  if (!painting && searching() === "ready") beginWithHand();
}

function change(work) {
  if (!painting) return;
  work();
  redraw();
}

function redraw() {
  if (!painting) return;
  painting.draw($("painting"), brush);
  const share = Math.round((100 * painting.holes) / painting.mask.length);
  $("paint-share").textContent = painting.holes === 0 ? "no hole yet" : `${share} % is unknown`;
  $("paint-undo").disabled = !painting.hasPast;
}

const tool = () => document.querySelector("input[name=tool]:checked").value;
const width = () => Number($("brush-size").value);

function bindCanvas(canvas) {
  const place = (event) => ({
    x: (event.offsetX / canvas.clientWidth) * painting.width,
    y: (event.offsetY / canvas.clientHeight) * painting.height,
  });
  let last = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (!painting || event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    painting.remember();
    last = place(event);
    painting.stroke(tool(), last, last, width());
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!painting) return;
    const now = place(event);
    brush = { ...now, width: width() };
    if (last) {
      painting.stroke(tool(), last, now, width());
      last = now;
    }
    redraw();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => (last = null));
  }
  for (const name of ["pointerleave", "blur"]) {
    canvas.addEventListener(name, () => {
      brush = null;
      redraw();
    });
  }
  canvas.addEventListener("keydown", paintByKey);
}

/** Arrows move the brush, Space paints, Shift with an arrow paints on the way. */
function paintByKey(event) {
  if (!painting) return;
  const now = brush ?? { x: painting.width / 2, y: painting.height / 2, width: width() };
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const [dx, dy] = moves[event.key] ?? [0, 0];
  if (dx === 0 && dy === 0 && event.key !== " ") return;
  event.preventDefault();
  const x = Math.min(painting.width, Math.max(0, now.x + dx));
  const y = Math.min(painting.height, Math.max(0, now.y + dy));
  brush = { x, y, width: width() };
  if (event.key === " " || event.shiftKey) {
    painting.remember();
    painting.stroke(tool(), now, brush, width());
  }
  redraw();
}

/** Ask for restorations and show them beside each other. A second request ends the first. */
const restore = guard(async () => {
  if (!painting) return;
  if (painting.holes === 0) throw new Error("Nothing is unknown yet: paint a hole first.");
  stopping?.abort();
  const mine = (stopping = new AbortController());
  const wish = {
    pixels: base64(painting.pixels),
    mask: base64(painting.mask),
    n: Number($("answers").value),
    seed: Number($("paint-seed").value),
  };
  $("paint-progress").hidden = false;
  $("paint-progress").value = 0;
  try {
    for await (const line of streamJson("api/restore", wish, mine.signal)) {
      if (line.kind === "step") $("paint-progress").value = line.share;
      if (line.kind === "done") showRestored(line);
    }
  } finally {
    if (mine === stopping) $("paint-progress").hidden = true;
  }
});

function showRestored(line) {
  const codes = split(floats(line.codes));
  const restored = bytes(line.restored);
  const each = restored.length / codes.length;
  const frames = codes.map((code, i) =>
    frame({
      code,
      picture: restored.subarray(i * each, (i + 1) * each),
      edge: short(line.residuals[i]),
      about: { source: `Restoration ${i + 1}`, name: `restoration-${i + 1}`, from: "paint" },
    }),
  );
  $("restored").replaceChildren(...frames);
  $("restored-text").textContent =
    `${codes.length} answers in ${line.seconds.toFixed(1)} s. Below each: its squared error on ` +
    "the pixels that are known.";
  say($("restored-text").textContent);
  $("answers-panel").scrollIntoView({ block: "nearest", behavior: still() ? "auto" : "smooth" });
}

