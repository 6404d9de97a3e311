/** The panel of the picture in hand: large, with its code, its neighbours and downloads. */

import { floats, postRaw } from "./api.js";
import { split } from "./decode.js";
import { $, guard, say, short, write } from "./dom.js";
import { hand } from "./hand.js";
import { draw, drawCode } from "./picture.js";
import { exampleAbout, isImage, labelName, length, run } from "./run.js";
import { saveExample, saveJson, saveNpy } from "./save.js";
import { fillSheet } from "./sheet.js";

/** Bind the panel to the hand. */
export function startTray() {
  hand.addEventListener("change", showAbout);
  hand.addEventListener("picture", showPicture);
  hand.addEventListener("settle", guard(settle));
  document.addEventListener("themechange", redraw);
  $("hand-back").addEventListener("click", () => hand.back());
  $("hand-png").addEventListener("click", () => saveExample(hand.picture, hand.about.name));
  $("hand-json").addEventListener("click", () =>
    saveJson(hand.code, hand.about.source, hand.about.name),
  );
  $("hand-npy").addEventListener("click", () => saveNpy(hand.code, hand.about.name));
  $("hand-more-button").addEventListener("click", toggle);
  if (!isImage()) $("hand-png").setAttribute("aria-label", "Download the vector as .npy");
  $("hand-paint").hidden = !run.tasks.includes("inpaint");
}

/** On a narrow screen the panel lies at the bottom, folded; open or fold it. */
function toggle() {
  const open = $("hand").classList.toggle("open");
  $("hand-more-button").setAttribute("aria-expanded", String(open));
}

function showAbout() {
  // Those of the code before, until this one has come to rest.
  if (run.n > 1) $("hand-neighbours").setAttribute("aria-busy", "true");
  $("hand").classList.remove("vacant");
  write("hand-source", hand.about.source);
}

function showPicture() {
  const canvas = $("hand-picture");
  draw(canvas, hand.picture);
  drawCode($("hand-code"), hand.code);
  const size = length(hand.code).toFixed(3);
  const rule = { ball: "in the ball", sphere: "on the sphere", free: "no constraint" };
  write("hand-length", `${size}, ${rule[run.constraint]}`);
  // Counted by whoever measures how many pictures a second are shown.
  canvas.dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
}

function redraw() {
  if (!hand.picture) return;
  drawCode($("hand-code"), hand.code);
  draw($("hand-picture"), hand.picture);
}

/** When the code has come to rest: say what it is, and find its neighbours. */
async function settle() {
  $("hand-picture").setAttribute("aria-label", `Decoded: ${hand.about.source}`);
  say(`In hand: ${hand.about.source}`);
  $("hand-back").disabled = !hand.hasPast;
  const code = hand.code;
  if (run.n > 1) await showNeighbours($("hand-neighbours"), code, () => code === hand.code);
}

/** Fill a list with the training examples whose codes are nearest, if that is still wanted. */
export async function showNeighbours(list, code, wanted = () => true) {
  const answer = await (await postRaw("api/neighbours", code)).json();
  if (!wanted()) return;
  const codes = split(floats(answer.codes));
  const items = answer.neighbours.map((example, i) => ({
    code: codes[i],
    dot: labelName(example.label) === null ? null : example.label,
    edge: short(example.distance),
    about: { ...exampleAbout(example), from: "near" },
  }));
  await fillSheet(list, items);
}
