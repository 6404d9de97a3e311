/** Draw the map: its points and the names of labels. */

import { colour } from "./dom.js";
import { labelName } from "./run.js";

const COLOURS = 10;

/** Return the resolved colours of the theme. */
export function palette() {
  return {
    labels: Array.from({ length: COLOURS }, (_, i) => colour(`--c${i}`)),
    plain: colour("--plain"),
    paper: colour("--stage"),
    ink: colour("--ink"),
    faint: colour("--faint"),
  };
}

/** Make a canvas as sharp as the screen and return its context, in CSS pixels. */
export function sharpen(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Draw all points; those that are filtered out first, faint, below the others. */
export function drawPoints(context, data, view, colours) {
  context.clearRect(0, 0, view.width, view.height);
  const radius = Math.min(6, (data.n > 1500 ? 2.1 : 3.4) * Math.sqrt(view.zoom) ** 0.8);
  const shown = (wanted) => (i) => Boolean(data.shown[i]) === wanted;
  const all = Array.from({ length: data.n }, (_, i) => i);
  context.globalAlpha = 0.35;
  for (const i of all.filter(shown(false))) point(context, data, view, i, radius, colours.faint);
  context.globalAlpha = data.n > 1500 ? 0.8 : 0.95;
  for (const i of all.filter(shown(true))) {
    const label = data.label(i);
    const fill = label === null || label < 0 ? colours.plain : colours.labels[label % COLOURS];
    point(context, data, view, i, radius, fill, Math.floor((label ?? 0) / COLOURS));
  }
  context.globalAlpha = 1;
  drawNames(context, data, view, colours);
}

/** Draw one point; labels beyond the tenth have the colours of the first ten, as other shapes. */
function point(context, data, view, i, radius, fill, shape = 0) {
  const { x, y } = view.toPoint(data.xy[2 * i], data.xy[2 * i + 1]);
  if (x < -9 || y < -9 || x > view.width + 9 || y > view.height + 9) return;
  context.fillStyle = fill;
  context.beginPath();
  if (shape % 3 === 1) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  else if (shape % 3 === 2) triangle(context, x, y, 1.3 * radius);
  else context.arc(x, y, radius, 0, 7);
  context.fill();
}

function triangle(context, x, y, radius) {
  context.moveTo(x, y - radius);
  context.lineTo(x + radius, y + radius);
  context.lineTo(x - radius, y + radius);
}

/** Write each label's name in the middle of its examples, so that colour is not all there is. */
function drawNames(context, data, view, colours) {
  const middles = data.middles();
  if (middles.length < 2 || middles.length > 40) return;
  context.font = "600 25px 'Iowan Old Style', Palatino, P052, Georgia, serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const points = middles.map(({ x, y }) => view.toPoint(x, y));
  pushApart(points);
  for (const [i, { label }] of middles.entries()) {
    const at = points[i];
    context.strokeStyle = colours.paper;
    context.lineWidth = 6;
    context.strokeText(labelName(label), at.x, at.y);
    context.fillStyle = colours.ink;
    context.fillText(labelName(label), at.x, at.y);
  }
}

/** Move points away from each other until none hides another. */
function pushApart(points, apart = 27) {
  for (let turn = 0; turn < 60; turn++) {
    for (const one of points) {
      for (const two of points) {
        const [dx, dy] = [two.x - one.x, two.y - one.y];
        const distance = Math.hypot(dx, dy) || 1;
        if (one === two || distance >= apart) continue;
        const push = (apart - distance) / 4 / distance;
        one.x -= dx * push;
        one.y -= dy * push;
        two.x += dx * push;
        two.y += dy * push;
      }
    }
  }
}
