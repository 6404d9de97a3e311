/** The codes that are on the map: places in the plane, and the codes themselves. */

import { floats, get, integers } from "./api.js";
import { fetchCodes } from "./examples.js";
import { isInside } from "./lasso.js";
import { run } from "./run.js";

const BLENDED = 6;

/** Codes and their places, read from the server once for each method. */
export class MapData {
  constructor(answer, rows, codes) {
    this.method = answer.method;
    this.rows = rows;
    this.labels = answer.labels ? integers(answer.labels) : null;
    this.ids = answer.ids;
    this.codes = codes;
    this.n = this.rows.length;
    this.xy = unit(floats(answer.xy));
    this.shown = new Uint8Array(this.n).fill(1);
    /** Whether each is selected, or null where nothing is. */
    this.selected = null;
    this.middles = this.#middles();
  }

  static async load(method) {
    const answer = await get(`api/map/${method}`);
    const rows = integers(answer.rows);
    return new MapData(answer, rows, await fetchCodes(rows));
  }

  /** Return whether a point has its colour: it is shown, and selected if anything is. */
  lit(i) {
    return this.shown[i] === 1 && (this.selected === null || this.selected[i] === 1);
  }

  /** Mark the selected examples. */
  select(selection) {
    this.selected = null;
    if (selection.size === 0) return;
    this.selected = Uint8Array.from(this.rows, (row) => (selection.has(row) ? 1 : 0));
  }

  /** Return the rows of the shown examples that a test of x and y chooses. */
  rowsWhere(test) {
    const { xy } = this;
    return this.rows.filter((_, i) => this.shown[i] && test(xy[2 * i], xy[2 * i + 1]));
  }

  /** Return the rows of the shown examples inside an outline, [{x, y}]. */
  rowsInside(corners) {
    const range = (axis) => {
      const values = corners.map((corner) => corner[axis]);
      return [Math.min(...values), Math.max(...values)];
    };
    const [[left, right], [low, high]] = [range("x"), range("y")];
    return this.rowsWhere(
      (x, y) => x >= left && x <= right && y >= low && y <= high && isInside(corners, x, y),
    );
  }

  code(i) {
    return this.codes.slice(i * run.code_dim, (i + 1) * run.code_dim);
  }

  /** Return number, identity and label of a point's training example. */
  example(i) {
    return { row: this.rows[i], id: this.ids?.[i], label: this.label(i) };
  }

  label(i) {
    return this.labels ? this.labels[i] : null;
  }

  /** Show only examples of these labels, a set; every example when it is empty. */
  filter(labels) {
    for (let i = 0; i < this.n; i++) {
      this.shown[i] = labels.size === 0 || labels.has(this.labels[i]) ? 1 : 0;
    }
    this.middles = this.#middles();
  }

  /** Return the shown examples nearest to a place, as [{i, distance}], nearest first. */
  nearest(x, y, count = BLENDED) {
    const squares = (i) => (this.xy[2 * i] - x) ** 2 + (this.xy[2 * i + 1] - y) ** 2;
    return smallest(this.n, (i) => (this.shown[i] ? squares(i) : Infinity), count);
  }

  /**
   * Return the code at a place: the mean of the codes of the nearest examples, weighted by one
   * over their squared distance. A point of the plane itself would be far from every code in the
   * other D - 2 directions and decode to something washed out.
   */
  blend(x, y) {
    const near = this.nearest(x, y);
    const code = new Float32Array(run.code_dim);
    let total = 0;
    for (const { i, distance } of near) {
      const weight = 1 / (distance ** 2 + 1e-7);
      total += weight;
      for (let d = 0; d < code.length; d++) code[d] += weight * this.codes[i * code.length + d];
    }
    return { code: code.map((sum) => sum / total), near };
  }

  /** Return where a code lies on the map: between the examples whose codes are nearest to it. */
  place(code) {
    const dim = code.length;
    const far = (i) => {
      let sum = 0;
      for (let d = 0; d < dim; d++) sum += (this.codes[i * dim + d] - code[d]) ** 2;
      return sum;
    };
    let [x, y, total] = [0, 0, 0];
    for (const { i, distance } of smallest(this.n, far, BLENDED)) {
      const weight = 1 / (distance ** 2 + 1e-7);
      total += weight;
      x += weight * this.xy[2 * i];
      y += weight * this.xy[2 * i + 1];
    }
    return { x: x / total, y: y / total };
  }

  /** Return the middle of the shown examples of each label: [{label, x, y, count}]. */
  #middles() {
    const groups = new Map();
    for (let i = 0; i < this.n; i++) {
      const label = this.label(i);
      if (label === null || label < 0 || !this.shown[i]) continue;
      if (!groups.has(label)) groups.set(label, []);
      groups.get(label).push(i);
    }
    return Array.from(groups, ([label, rows]) => ({
      label,
      x: median(rows.map((i) => this.xy[2 * i])),
      y: median(rows.map((i) => this.xy[2 * i + 1])),
      count: rows.length,
    }));
  }
}

/** Return the `count` indices with the smallest squares, as [{i, distance}], smallest first. */
function smallest(n, squares, count) {
  const best = [];
  for (let i = 0; i < n; i++) {
    const square = squares(i);
    if (square === Infinity || square >= (best[count - 1]?.square ?? Infinity)) continue;
    let place = best.length;
    while (place > 0 && best[place - 1].square > square) place--;
    best.splice(place, 0, { i, square });
    if (best.length > count) best.pop();
  }
  return best.map(({ i, square }) => ({ i, distance: Math.sqrt(square) }));
}

function median(numbers) {
  numbers.sort((a, b) => a - b);
  return numbers[Math.floor(numbers.length / 2)];
}

/** Move and scale places about the origin, so that nearly all lie in [-1, 1] both ways. */
function unit(xy) {
  const scaled = new Float32Array(xy.length);
  const half = [0, 1].map((axis) => {
    const values = Float64Array.from({ length: xy.length / 2 }, (_, i) => xy[2 * i + axis]).sort();
    const at = (share) => values[Math.round(share * (values.length - 1))] ?? 0;
    return { middle: (at(0.004) + at(0.996)) / 2, size: (at(0.996) - at(0.004)) / 2 };
  });
  const size = Math.max(half[0].size, half[1].size) || 1;
  for (let i = 0; i < xy.length; i++) scaled[i] = (xy[i] - half[i % 2].middle) / size;
  return scaled;
}
