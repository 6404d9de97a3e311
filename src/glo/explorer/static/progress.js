/** How training goes or went: curves, and pictures of every few epochs. */

import { get } from "./api.js";
import { $, complain, el, short, whole } from "./dom.js";
import { lineChart } from "./plot.js";
import { loadRun, run } from "./run.js";

const EVERY = 2000;

const records = [];
let after = 0;
let pictures = [];
let following = true;

/** What is drawn: a name, the kind of record, its field, and whether the scale is logarithmic. */
const CHARTS = [
  { id: "loss", name: "Loss", kind: "step", field: "loss", log: true },
  { id: "explained", name: "Explained variance", kind: "epoch", field: "explained_variance" },
  { id: "travel", name: "Way of a code from its start", kind: "epoch", field: "code_travel" },
  { id: "rate", name: "Step of a code in an epoch", kind: "epoch", field: "code_step", log: true },
];

/** Draw what is there, and look again every two seconds while the run is in training. */
export async function startProgress() {
  $("epoch-at").addEventListener("input", () => {
    following = Number($("epoch-at").value) === pictures.length - 1;
    showPicture(Number($("epoch-at").value));
  });
  await update();
}

async function update() {
  let state = run.state;
  try {
    const answer = await get(`api/progress?after=${after}`);
    state = answer.state;
    take(answer);
    await noteState(answer);
  } catch (error) {
    complain(error);
  }
  if (state !== "finished") setTimeout(update, EVERY);
}

function take(answer) {
  const fresh = answer.records.length > 0;
  // A run that was resumed drops lines and writes them again.
  if (answer.next < after) records.length = 0;
  records.push(...answer.records);
  after = answer.next;
  if (fresh) drawCharts();
  takePictures(answer.pictures);
}

function drawCharts() {
  $("progress-empty").hidden = records.length > 0;
  for (const chart of CHARTS) {
    const rows = records.filter((row) => row.kind === chart.kind && chart.field in row);
    const [place, form] = axis(chart.kind);
    const points = rows.map((row) => ({ x: place(row), y: row[chart.field] }));
    const high = chart.kind === "epoch" ? Math.max(run.epochs || 1, points.length) : last(points);
    const low = chart.kind === "epoch" ? 1 : 0;
    const drawn = lineChart({
      name: chart.name,
      lines: [{ points, name: chart.name }],
      log: chart.log ?? false,
      x: { low, high, form },
    });
    $(`chart-${chart.id}`).replaceChildren(drawn);
    $(`chart-${chart.id}-now`).textContent = points.length ? short(points.at(-1).y) : "";
  }
}

const last = (points) => points.at(-1)?.x ?? 1;

function axis(kind) {
  if (kind === "epoch") return [(row) => row.epoch, (x) => (x === 1 ? "epoch 1" : short(x))];
  return [(row) => row.step, (x) => (x === 0 ? "step 0" : whole(x))];
}

function takePictures(found) {
  const grids = found.filter(({ epoch }) => epoch !== null && epoch !== undefined);
  grids.sort((a, b) => a.epoch - b.epoch);
  const changed = grids.length !== pictures.length;
  pictures = grids;
  $("epochs").hidden = grids.length === 0;
  if (!changed || grids.length === 0) return;
  $("epoch-at").max = grids.length - 1;
  $("epoch-at").disabled = grids.length < 2;
  if (following) showPicture(grids.length - 1);
}

function showPicture(i) {
  const { name, epoch } = pictures[i];
  $("epoch-at").value = i;
  $("epoch-at").setAttribute("aria-valuetext", `epoch ${epoch}`);
  $("epoch-name").textContent = `Epoch ${epoch}`;
  const image = $("epoch-picture");
  image.src = `api/picture/${encodeURIComponent(name)}`;
  image.alt = `Grid of pictures after epoch ${epoch}`;
}

/** Say how far training is, and look at the run anew when that has changed. */
async function noteState({ state, seconds_left: left }) {
  const epoch = records.findLast((row) => row.kind === "epoch")?.epoch ?? 0;
  const rest = left ? `, ${duration(left)} left` : "";
  const words = {
    training: `In training: ${epoch} of ${run.epochs} epochs are done${rest}.`,
    finished: `Training is over after ${epoch} epochs.`,
    empty: "Training has begun; there are no codes to look at yet.",
  };
  $("progress-text").textContent = words[state];
  if (state === run.state) return;
  const first = run.state === "empty";
  await loadRun();
  if (first && state === "training") location.reload();
  else offerReload();
}

/** Codes that are shown are those of before: say so, and leave it to the person. */
function offerReload() {
  const again = el("button", { type: "button", onclick: () => location.reload() }, "Show the end");
  $("notice").replaceChildren("Training is over. ", again);
  $("notice").hidden = false;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
