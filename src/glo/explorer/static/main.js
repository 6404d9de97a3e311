/** The page: read the run, start its panels, and say when something is missing. */

import { connection, get } from "./api.js";
import { showBetween, startBetween, stop as stopPlaying } from "./between.js";
import { showDirections, startDirections } from "./directions.js";
import { $, complain, el, guard, short, whole } from "./dom.js";
import { showTries, startEncode } from "./encode.js";
import { hand } from "./hand.js";
import { codeMap, startMap } from "./map.js";
import { showPaint, startPaint } from "./paint.js";
import { startProgress } from "./progress.js";
import { exampleAbout, loadRun, run } from "./run.js";
import { showSample, startSample } from "./sample.js";
import { startSelected } from "./selected.js";
import { onOpen, startTabs } from "./tabs.js";
import { startTray } from "./tray.js";
import { showWorst, startWorst } from "./worst.js";

const AGAIN = 2000;

/** Write name and figures of the run in the head of the page. */
function showFacts() {
  document.title = `${run.folder_name}, GLO explorer`;
  $("run-name").textContent = run.folder_name;
  const facts = [
    [run.n === 1 ? `example of ${run.name}` : `examples of ${run.name}`, whole(run.n)],
    ["numbers each", run.code_dim],
    ["squared error", run.mse === null ? null : short(run.mse)],
    ["explained", percent(run.explained_variance)],
  ];
  const known = facts.filter(([, value]) => value !== null && value !== undefined);
  $("facts").replaceChildren(
    ...known.map(([name, value]) => el("li", {}, el("b", {}, String(value)), ` ${name}`)),
  );
  showDiagnosis();
}

const percent = (share) => (typeof share === "number" ? `${(100 * share).toFixed(1)} %` : null);

function showDiagnosis() {
  $("diagnosis").hidden = !run.diagnosis?.length;
  $("diagnosis").replaceChildren(...(run.diagnosis ?? []).map((text) => el("p", {}, text)));
}

/** Say above the panels what a person should know about this run. */
function showState() {
  const training = run.state === "training";
  $("notice").hidden = !training;
  const again = el("button", { type: "button", onclick: () => location.reload() }, "Look again");
  const text = "This run is still in training: what you see is its newest checkpoint. ";
  $("notice").replaceChildren(text, again);
}

/** A run without a checkpoint has nothing but its curves: keep the other tabs away. */
function keepTraining() {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.hidden = tab.dataset.panel !== "training";
  }
  document.body.classList.add("no-hand");
}

/** Start with an example in hand: a page that shows nothing invites nobody. */
function takeFirst() {
  const data = codeMap.data;
  if (!data || data.n === 0) return;
  hand.take(data.code(0), { ...exampleAbout(data.example(0)), from: "start" });
}

/** Show that the server is gone, and look for it until it is back. */
function watchConnection() {
  const look = async () => {
    try {
      await get("api/run");
    } catch {
      setTimeout(look, AGAIN);
    }
  };
  connection.addEventListener("gone", () => {
    $("gone").hidden = false;
    setTimeout(look, AGAIN);
  });
  connection.addEventListener("back", () => ($("gone").hidden = true));
}

function bindPanels() {
  onOpen("map", () => codeMap.redraw());
  onOpen("directions", showDirections);
  onOpen("sample", showSample);
  onOpen("between", showBetween);
  onOpen("between left", stopPlaying);
  onOpen("drop", showTries);
  onOpen("paint", showPaint);
  onOpen("worst", showWorst);
}

async function start() {
  watchConnection();
  $("complaint-close").addEventListener("click", () => ($("complaint").hidden = true));
  await loadRun();
  showFacts();
  showState();
  document.body.dataset.kind = run.kind;
  document.documentElement.classList.toggle("pixels", run.shows_pixels);
  if (run.state === "empty") {
    keepTraining();
    startTabs();
    await startProgress();
    return;
  }
  startTray();
  startSample();
  startBetween();
  startEncode();
  startPaint();
  startSelected();
  startWorst();
  await Promise.all([startMap(), guard(startDirections)()]);
  takeFirst();
  bindPanels();
  startTabs();
  document.body.classList.add("ready");
  await startProgress();
}

start().catch((error) => {
  complain(error);
  $("run-name").textContent = "No run to show";
  document.body.classList.add("no-hand", "failed");
});
