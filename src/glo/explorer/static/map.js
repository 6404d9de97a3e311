/** The map of codes: look, hover, drag, zoom. */

import { floats } from "./api.js";
import { drawCursor } from "./cursor.js";
import { decodeAll } from "./decode.js";
import { $, complain, el, guard } from "./dom.js";
import { hand } from "./hand.js";
import { Lasso } from "./lasso.js";
import { fillLegend } from "./legend.js";
import { MapData } from "./mapdata.js";
import { listen } from "./pointer.js";
import { draw } from "./picture.js";
import { exampleAbout, findExample, labelled, run } from "./run.js";
import { drawPoints, palette, sharpen } from "./scatter.js";
import { selection } from "./selection.js";
import { View } from "./view.js";

/** A click this far from an example, in pixels, does not select it. */
const NEAR = 24;
const METHODS = { pca: "PCA", umap: "UMAP", tsne: "t-SNE" };

/** The panel; one for the page. */
class CodeMap {
  view = new View();
  data = null;
  /** Where the picture in hand is, and the examples it is a mean of. */
  cursor = null;
  near = [];
  chosen = new Set();
  /** What a drag does: "decode", "lasso" or "box". */
  tool = "decode";
  lasso = new Lasso();
  #pictures = new Map();
  #tip = { i: -1 };

  async start() {
    this.#bind();
    fillMethods((method) => this.load(method));
    await this.load(run.map_methods[0]);
  }

  #bind() {
    const redraw = () => this.redraw();
    new ResizeObserver(redraw).observe($("map"));
    document.addEventListener("themechange", redraw);
    hand.addEventListener("change", () => this.#follow());
    selection.addEventListener("change", () => this.#showSelection());
    for (const input of document.querySelectorAll("#map-tools input")) {
      input.addEventListener("change", () => this.take(input.value));
    }
    listen($("map"), this);
    $("find-form").addEventListener("submit", (event) => {
      event.preventDefault();
      takeExample($("find-text").value);
    });
    $("zoom-in").addEventListener("click", () => this.zoom(1.5));
    $("zoom-out").addEventListener("click", () => this.zoom(1 / 1.5));
    $("zoom-reset").addEventListener("click", () => this.zoom(0));
  }

  /** Show the map by another method. */
  async load(method) {
    const long = "Laying the codes out: this takes a while";
    const quick = method === "pca" || method === run.map_methods[0];
    $("map-wait").textContent = quick ? "Reading the codes" : long;
    $("map-stage").setAttribute("aria-busy", "true");
    try {
      this.data = await MapData.load(method);
    } finally {
      $("map-stage").setAttribute("aria-busy", "false");
    }
    this.view.reset();
    this.near = [];
    if (hand.code) this.cursor = this.data.place(hand.code);
    this.data.select(selection);
    fillLegend($("legend"), this.data, this.chosen, () => this.#filter());
    $("map-empty").hidden = this.data.n > 1;
  }

  #filter() {
    this.data.filter(this.chosen);
    this.redraw();
  }

  #showSelection() {
    this.data?.select(selection);
    this.redraw();
  }

  /** Take up another tool. */
  take(tool) {
    this.tool = tool;
    document.querySelector(`#map-tools [value=${tool}]`).checked = true;
    $("select-how").hidden = tool === "decode";
    this.lasso.cancel(this.view);
  }

  /** Begin an outline at a point. */
  outlineFrom(x, y) {
    this.leave();
    this.lasso.begin(this.view.toPlace(x, y), this.tool === "box");
  }

  /** Draw the outline on to a point. */
  outlineTo(x, y) {
    this.lasso.extend(this.view.toPlace(x, y), this.view);
  }

  /** Select what is inside the outline. */
  selectOutlined(how = $("select-how").value) {
    selection.change(this.data.rowsInside(this.lasso.finish(this.view)), how);
  }

  /** Select every example that the legend shows. */
  selectShown() {
    selection.change(this.data.rowsWhere(() => true));
  }

  /** Select the example at a point, or take it away from the selection. */
  toggleAt(x, y) {
    this.lasso.cancel(this.view);
    const place = this.view.toPlace(x, y);
    const found = this.data.nearest(place.x, place.y, 1)[0];
    if (found && found.distance * this.view.scale < NEAR) selection.toggle(this.data.rows[found.i]);
  }

  /** Move the mark of the keyboard; with the tool for it, decode what is there. */
  moveTo(x, y) {
    if (this.tool === "decode") this.decodeAt(x, y);
    else {
      this.cursor = this.view.toPlace(x, y);
      this.near = [];
      if (this.lasso.active) this.outlineTo(x, y);
      this.#drawCursor();
    }
    this.hoverAt(x, y);
  }

  /** Draw everything: after a change of size, theme, filter or view. */
  redraw() {
    const { clientWidth: width, clientHeight: height } = $("map");
    if (!this.data || width === 0) return;
    this.view.resize(width, height);
    drawPoints(sharpen($("map"), width, height), this.data, this.view, palette());
    this.#drawCursor();
    this.lasso.draw(this.view);
  }

  #drawCursor() {
    drawCursor(this.data, this.view, this.cursor, this.near);
  }

  /** Zoom about the middle; by nothing to see everything again. */
  zoom(factor) {
    if (factor === 0) this.view.reset();
    else this.view.zoomAt(this.view.width / 2, this.view.height / 2, factor);
    this.redraw();
  }

  /** Move the mark to the picture that another panel took in hand. */
  #follow() {
    if (hand.about.from === "map" || !this.data) return;
    this.cursor = this.data.place(hand.code);
    this.near = [];
    this.#drawCursor();
  }

  /** Decode what is under a point: the mean of the codes around it. */
  decodeAt(x, y) {
    const place = this.view.toPlace(x, y);
    const { code, near } = this.data.blend(place.x, place.y);
    if (near.length === 0) return;
    this.cursor = place;
    this.near = near;
    const between = `Between ${near.length} training examples`;
    const single = exampleAbout(this.data.example(near[0].i)).source;
    const source = near.length > 1 ? between : single;
    hand.take(code, { source, name: "from-map", from: "map" });
    this.#drawCursor();
  }

  /** Take the example nearest to a point in hand. */
  pinAt(x, y) {
    const place = this.view.toPlace(x, y);
    const found = this.data.nearest(place.x, place.y, 1)[0];
    if (!found) return;
    this.cursor = { x: this.data.xy[2 * found.i], y: this.data.xy[2 * found.i + 1] };
    this.near = [];
    const about = exampleAbout(this.data.example(found.i));
    hand.take(this.data.code(found.i), { ...about, from: "map" });
    this.#drawCursor();
  }

  /** Show the example nearest to a point beside the pointer. */
  hoverAt(x, y) {
    this.#hover(x, y).catch(complain);
  }

  async #hover(x, y) {
    const place = this.view.toPlace(x, y);
    const found = this.data.nearest(place.x, place.y, 1)[0];
    if (!found) {
      this.leave();
      return;
    }
    const at = this.view.toPoint(this.data.xy[2 * found.i], this.data.xy[2 * found.i + 1]);
    moveTip(at, this.view);
    if (this.#tip.i === found.i) return;
    this.#tip = { i: found.i };
    const { row, id, label } = this.data.example(found.i);
    $("tip-text").textContent = [`no. ${row}`, id, labelled(label)].filter(Boolean).join("\n");
    const picture = await this.#picture(found.i);
    if (this.#tip.i !== found.i) return;
    draw($("tip-picture"), picture);
    $("tip").hidden = false;
  }

  /** The pointer has left the map. */
  leave() {
    this.#tip = { i: -1 };
    $("tip").hidden = true;
  }

  async #picture(i) {
    if (!this.#pictures.has(i)) this.#pictures.set(i, (await decodeAll([this.data.code(i)]))[0]);
    return this.#pictures.get(i);
  }
}

/** Take a training example in hand by its identity or row number. */
const takeExample = guard(async (text) => {
  const example = await findExample(text);
  hand.take(floats(example.code), { ...exampleAbout(example), from: "find" });
});

/** Put the picture beside its point, on the side where there is room. */
function moveTip(at, view) {
  const tip = $("tip");
  tip.style.left = `${Math.round(at.x)}px`;
  tip.style.top = `${Math.round(at.y)}px`;
  tip.classList.toggle("to-left", at.x > view.width - 130);
  tip.classList.toggle("to-top", at.y > view.height - 150);
}

function fillMethods(load) {
  const choices = run.map_methods.map((method, i) => {
    const input = el("input", { type: "radio", name: "method", value: method, checked: i === 0 });
    input.addEventListener("change", guard(() => load(method)));
    return el("label", {}, input, el("span", {}, METHODS[method] ?? method));
  });
  $("methods").append(...choices);
  $("methods").hidden = choices.length < 2;
}

/** The map of the page. */
export const codeMap = new CodeMap();

/** Read the codes and show the map. */
export const startMap = () => codeMap.start().catch(complain);
