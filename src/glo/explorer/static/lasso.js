/** The outline of a lasso or a box while it is drawn on the map. */

import { $ } from "./dom.js";

/** Pixels between two corners of a lasso. */
const APART = 3;

/** An outline in places of the map, so that it stays there while the map is zoomed. */
export class Lasso {
  #places = [];
  #isBox = false;

  get active() {
    return this.#places.length > 0;
  }

  /** Begin at a place; a box has this corner and the last place. */
  begin(place, isBox) {
    this.#places = [place];
    this.#isBox = isBox;
  }

  /** Draw on to a place. */
  extend(place, view) {
    const last = this.#places.at(-1);
    const moved = Math.hypot(place.x - last.x, place.y - last.y) * view.scale;
    if (this.#isBox) this.#places = [this.#places[0], place];
    else if (moved >= APART) this.#places.push(place);
    this.draw(view);
  }

  /** End the outline and return its corners, [{x, y}]. */
  finish(view) {
    const corners = this.#corners();
    this.cancel(view);
    return corners;
  }

  cancel(view) {
    this.#places = [];
    this.draw(view);
  }

  draw(view) {
    const points = this.#corners().map(({ x, y }) => view.toPoint(x, y));
    const path = points.map(({ x, y }) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
    $("map-outline").setAttribute("points", path);
  }

  #corners() {
    if (!this.#isBox || this.#places.length < 2) return this.#places;
    const [one, two] = this.#places;
    return [one, { x: two.x, y: one.y }, two, { x: one.x, y: two.y }];
  }
}

/** Return whether a place is inside an outline: a line from it crosses an odd number of edges. */
export function isInside(corners, x, y) {
  let inside = false;
  for (let i = 0, before = corners.length - 1; i < corners.length; before = i++) {
    const [a, b] = [corners[i], corners[before]];
    const crosses = a.y > y !== b.y > y;
    if (crosses && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) inside = !inside;
  }
  return inside;
}
