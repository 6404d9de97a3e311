/** The page: a sheet of samples, two of them chosen, and the way between; pictures encoded. */

import { draw, rangeOf } from "./draw.js";
import { loadModel } from "./model.js";
import { readPicture } from "./picture.js";

const SAMPLES = 24;
const STEPS = 9;
// The number of the encoded picture among the samples.
const OWN = -1;
const find = (id) => document.getElementById(id);

/** Let only the newest of several wishes be computed, one at a time. */
function newest(work) {
  let running = false;
  let waiting = false;
  return async function ask() {
    if (running) {
      waiting = true;
      return;
    }
    running = true;
    try {
      do {
        waiting = false;
        await work();
      } while (waiting);
    } finally {
      running = false;
    }
  };
}

async function main() {
  const model = await loadModel();
  const { about } = model;
  const page = { seed: seedOf(location.hash), ends: [0, 1], codes: null, own: null, range: [-1, 1] };
  const temperature = find("temperature");
  const place = find("place");

  find("title").textContent = `GLO of ${about.data}`;
  find("facts").textContent =
    `${about.n.toLocaleString("en")} examples of ${about.shape.join(" x ")}, ` +
    `codes of ${about.code_dim} numbers, prior ${about.prior}`;
  const tiles = list(find("samples"), SAMPLES, true);
  const steps = list(find("way"), STEPS, false);

  const sample = newest(async () => {
    page.codes = await model.sample(SAMPLES, page.seed, Number(temperature.value));
    const examples = await model.decode(page.codes);
    page.range = rangeOf(examples);
    examples.forEach((values, i) => draw(tiles[i], values, about.shape, page.range));
    find("seed").textContent = `Seed ${page.seed}`;
    await walk();
  });

  const walk = newest(async () => {
    const [a, b] = page.ends.map((end) =>
      end === OWN ? page.own : codeOf(page.codes, end, about.code_dim));
    const places = steps.map((_, i) => i / (STEPS - 1)).concat(Number(place.value));
    const examples = await model.decode(model.between(a, b, places));
    [...steps, find("between")].forEach((canvas, i) =>
      draw(canvas, examples[i], about.shape, page.range));
  });

  tiles.forEach((canvas, i) => canvas.parentElement.addEventListener("click", () => {
    // The second choice becomes the first, and this one the second.
    page.ends = [page.ends[1], i];
    mark(tiles, page.ends);
    walk();
  }));
  find("again").addEventListener("click", () => {
    page.seed += 1;
    history.replaceState(null, "", `#${page.seed}`);
    sample();
  });
  temperature.addEventListener("input", () => {
    find("temperature-told").textContent = Number(temperature.value).toFixed(2);
    sample();
  });
  place.addEventListener("input", () => {
    find("place-told").textContent = `${Math.round(100 * place.value)} %`;
    walk();
  });

  if (model.takesPictures) {
    takePictures(model, (code) => {
      page.own = code;
      page.ends = [OWN, page.ends[1] === OWN ? 0 : page.ends[1]];
      mark(tiles, page.ends);
      walk();
    });
  }
  mark(tiles, page.ends);
  await sample();
  find("state").hidden = true;
  document.querySelector("main").hidden = false;
  document.body.classList.add("ready");
}

/** Encode the pictures that are chosen or dropped, and hand on their codes. */
function takePictures(model, use) {
  const { about } = model;
  const told = find("picture-told");
  let file = null;
  const encode = newest(async () => {
    const { name } = file;
    let values;
    try {
      values = await readPicture(file, about.shape);
    } catch {
      told.textContent = `${name} is not a picture that this browser can read.`;
      return;
    }
    const code = await model.encode(values);
    const [decoded] = await model.decode(Float32Array.from(code));
    draw(find("picture"), values, about.shape, [-1, 1]);
    draw(find("picture-decoded"), decoded, about.shape, [-1, 1]);
    const squares = values.map((value, i) => (value - decoded[i]) ** 2);
    const error = squares.reduce((sum, value) => sum + value, 0) / squares.length;
    told.textContent = `Mean squared error ${error.toFixed(4)}; the way below begins here.`;
    find("pictures").hidden = false;
    use(Array.from(code));
  });
  const take = (chosen) => {
    if (!chosen) return;
    file = chosen;
    encode();
  };
  const section = find("encode");
  section.hidden = false;
  find("file").addEventListener("change", (event) => {
    take(event.target.files[0]);
    // The same file can be chosen again.
    event.target.value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    section.classList.add("over");
  });
  document.addEventListener("dragleave", () => section.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    section.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
}

function seedOf(hash) {
  const number = Number.parseInt(hash.slice(1), 10);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

function codeOf(codes, row, width) {
  return Array.from(codes.slice(row * width, (row + 1) * width));
}

/** Fill a list with canvases, each in a button where it can be chosen. */
function list(parent, n, chosen) {
  return Array.from({ length: n }, (_, i) => {
    const item = parent.appendChild(document.createElement("li"));
    const canvas = document.createElement("canvas");
    if (!chosen) return item.appendChild(canvas);
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    button.setAttribute("aria-label", `Sample ${i + 1}`);
    return button.appendChild(canvas);
  });
}

function mark(tiles, ends) {
  tiles.forEach((canvas, i) => {
    const button = canvas.parentElement;
    const end = ends.lastIndexOf(i);
    button.setAttribute("aria-pressed", String(end >= 0));
    if (end >= 0) button.dataset.end = end + 1;
    else delete button.dataset.end;
  });
}

main().catch((error) => {
  find("state").textContent =
    `The model could not be loaded (${error.message}). Serve this folder by any web server; ` +
    "opened as a file, browsers refuse it.";
  document.body.classList.add("failed");
});
