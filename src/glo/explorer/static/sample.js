/** New examples from a prior: the same seed gives the same pictures. */

import { floats, post } from "./api.js";
import { split } from "./decode.js";
import { $, el, guard, later, showWhen } from "./dom.js";
import { labelled, labelName, run } from "./run.js";
import { saveNpy, saveSheet } from "./save.js";
import { fillSheet } from "./sheet.js";

let drawn = { codes: null, pictures: [], name: "samples" };
let began = false;

/** Bind the form; what is drawn first is drawn when the panel is opened. */
export function startSample() {
  const state = run.can_sample ? "ready" : reason();
  for (const part of [$("panel-sample"), $("sample-lead")]) showWhen(part, state);
  if (!run.can_sample) return;
  fillForm();
  const soon = later(guard(sample), 250);
  $("sample-form").addEventListener("input", () => {
    $("temperature-value").textContent = Number($("temperature").value).toFixed(2);
    if ($("sample-form").checkValidity()) soon();
  });
  $("sample-form").addEventListener("submit", (event) => {
    event.preventDefault();
    soon();
  });
  $("next-seed").addEventListener("click", () => {
    $("seed").value = Number($("seed").value) + 1;
    soon();
  });
  $("sample-png").addEventListener("click", () => saveSheet(drawn.pictures, drawn.name, 8));
  $("sample-npy").addEventListener("click", () => saveNpy(drawn.codes, drawn.name));
}

function reason() {
  if (run.n < 2) return "single";
  return run.state === "training" ? "training" : "none";
}

function fillForm() {
  const priors = run.priors.map((name) =>
    el("option", { value: name, selected: name === run.default_prior }, name.replaceAll("-", " ")),
  );
  $("prior").replaceChildren(...priors);
  $("label-field").hidden = run.labels.length === 0;
  const labels = run.labels.map((_, i) => el("option", { value: i }, labelName(i)));
  $("label").replaceChildren(el("option", { value: "" }, "any"), ...labels);
}

/** Draw the first samples when the panel is opened for the first time. */
export const showSample = guard(async () => {
  if (began || !run.can_sample) return;
  began = true;
  await sample();
});

async function sample() {
  const label = $("label").value === "" ? null : Number($("label").value);
  const wish = {
    prior: $("prior").value,
    seed: Number($("seed").value),
    temperature: Number($("temperature").value),
    label,
    n: Number($("count").value),
    start: 0,
  };
  const key = JSON.stringify(wish);
  $("samples").dataset.wish = key;
  $("samples").setAttribute("aria-busy", "true");
  const codes = floats((await post("api/sample", wish)).codes);
  // Another wish came meanwhile.
  if ($("samples").dataset.wish !== key) return;
  const items = split(codes).map((code, i) => ({ code, edge: String(i), about: about(wish, i) }));
  const pictures = await fillSheet($("samples"), items);
  drawn = { codes, pictures, name: `${wish.prior}-seed${wish.seed}-n${wish.n}` };
}

function about(wish, i) {
  const kind = labelled(wish.label);
  const prior = wish.prior.replaceAll("-", " ");
  const source = `Sample ${i} of seed ${wish.seed}, ${prior}${kind ? `, ${kind}` : ""}`;
  return { source, name: `sample-${wish.seed}-${i}`, label: wish.label, from: "sample" };
}
