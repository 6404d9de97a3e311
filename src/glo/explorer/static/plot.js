/** Line charts as SVG. */

import { short } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";
const LEFT = 46;
const BOTTOM = 22;
const TOP = 10;
const RIGHT = 12;
const WIDTH = 460;

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * Return a chart.
 *
 * @param {object} chart `name`, for screen readers; `lines`, [{points: [{x, y}], name}]; `level`, a
 *   horizontal line {y, name} or null; `log`, whether y is logarithmic; `x`, {low, high, form};
 *   `height` in units of 460 for the width.
 */
export function lineChart({ name, lines, level = null, log = false, x, height = 210 }) {
  const good = (point) => Number.isFinite(point.y) && (!log || point.y > 0);
  const kept = lines.map((line) => ({ ...line, points: line.points.filter(good) }));
  const values = kept.flatMap((line) => line.points.map((point) => point.y));
  if (level) values.push(level.y);
  const last = kept[0]?.points.at(-1);
  const chart = svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", class: "chart" });
  chart.setAttribute("aria-label", `${name}: ${last ? `now ${short(last.y)}` : "nothing yet"}`);
  if (values.length === 0) return chart;
  const y = yScale(Math.min(...values), Math.max(...values), log, height);
  const toX = (value) => LEFT + ((WIDTH - LEFT - RIGHT) * (value - x.low)) / (x.high - x.low || 1);
  chart.append(...gridLines(y), ...xTicks(x, toX, height));
  if (level) chart.append(...levelLine(level, y.to));
  kept.forEach((line, i) => chart.append(...drawLine(line, toX, y.to, i)));
  return chart;
}

/** Return where a value lies, and the values to mark. */
function yScale(low, high, log, height) {
  const form = log ? Math.log10 : (value) => value;
  let [from, to] = [form(low), form(high)];
  if (to - from < 1e-9) [from, to] = [from - 0.5, to + 0.5];
  const room = 0.06 * (to - from);
  [from, to] = [from - room, to + room];
  const size = height - TOP - BOTTOM;
  const place = (value) => TOP + (size * (to - form(value))) / (to - from);
  return { to: place, ticks: log ? logTicks(from, to) : ticks(from, to) };
}

/** Return about four round numbers between two. */
function ticks(from, to) {
  const raw = (to - from) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((value) => value >= raw);
  const first = Math.ceil(from / step);
  const count = Math.floor(to / step) - first + 1;
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(10)));
}

function logTicks(from, to) {
  const factors = to - from > 1.3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(from); power <= to; power++) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (Math.log10(value) >= from && Math.log10(value) <= to) found.push(value);
    }
  }
  return found.length > 1 ? found : [10 ** from, 10 ** to].map((v) => Number(v.toPrecision(2)));
}

function gridLines({ ticks: marks, to }) {
  return marks.flatMap((value) => [
    svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: to(value), y2: to(value), class: "grid" }),
    text(short(value), { x: LEFT - 7, y: to(value) + 4, "text-anchor": "end" }),
  ]);
}

function xTicks({ low, high, form = String }, toX, height) {
  const marks = [low, (low + high) / 2, high];
  const anchor = ["start", "middle", "end"];
  return marks.map((value, i) =>
    text(form(value), { x: toX(value), y: height - 5, "text-anchor": anchor[i] }),
  );
}

function levelLine({ y, name }, to) {
  const attributes = { x1: LEFT, x2: WIDTH - RIGHT, y1: to(y), y2: to(y), class: "level" };
  const side = { x: LEFT + 4, y: to(y) - 6, class: "level-name" };
  return [svg("line", attributes), text(name, side)];
}

function drawLine({ points }, toX, to, i) {
  if (points.length === 0) return [];
  const places = points.map((point) => `${toX(point.x).toFixed(1)},${to(point.y).toFixed(1)}`);
  const [cx, cy] = places.at(-1).split(",");
  return [
    svg("polyline", { points: places.join(" "), class: `line line-${i}` }),
    svg("circle", { cx, cy, r: 3.5, class: `end end-${i}` }),
  ];
}

function text(content, attributes) {
  return svg("text", attributes, content);
}
