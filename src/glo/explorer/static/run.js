/** The run that is shown: its facts, its labels, its constraint. */

import { get } from "./api.js";

/** What /api/run says; empty until `loadRun` is done. */
export const run = {};

/** Read the facts of the run, at the start and again when training goes on. */
export async function loadRun() {
  return Object.assign(run, await get("api/run"));
}

/** Whether the examples are images; else they are vectors. */
export const isImage = () => run.kind === "image";

/** Why codes cannot be searched for in this run: "vector", "training", "single"; or "ready". */
export function searching() {
  if (run.tasks.includes("inpaint")) return "ready";
  if (!isImage()) return "vector";
  return run.n < 2 ? "single" : "training";
}

/** Return the name of a label, or null where there is none. */
export function labelName(label) {
  if (label === null || label === undefined || label < 0) return null;
  return run.labels?.[label] ?? String(label);
}

/** Return "label 7", or the name alone where it is a word. */
export function labelled(label) {
  const name = labelName(label);
  if (name === null) return null;
  return /^\d+$/.test(name) ? `label ${name}` : name;
}

/** Return what the page shows about a training example: "Training example 5 (cat/1.png), cat". */
export function exampleAbout({ row, id, label }) {
  const name = labelled(label);
  const source = `Training example ${row}${id ? ` (${id})` : ""}${name ? `, ${name}` : ""}`;
  return { source, name: `example-${row}`, row, label };
}

/** Return the training example of an identity or a row number: {row, id, label, code}. */
export const findExample = (text) => get(`api/find?text=${encodeURIComponent(text.trim())}`);

/** Return the length of a code. */
export function length(code) {
  let sum = 0;
  for (const number of code) sum += number * number;
  return Math.sqrt(sum);
}

/** Return a code under the run's constraint, as the server will decode it. */
export function bring(code) {
  if (run.constraint === "free") return code;
  const size = length(code);
  if (run.constraint === "ball" && size <= 1) return code;
  if (size === 0) return code;
  return code.map((number) => number / size);
}
