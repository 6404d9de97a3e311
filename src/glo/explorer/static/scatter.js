/** Draw the map: its points and the names of labels. */

import { colour } from "./dom.js";
import { labelName } from "./run.js";

const COLOURS = 10;
const MANY = 1500;
const VERY_MANY = 20000;
const FAINT = 0.35;
/** Pixels between two names, and turns in which they are pushed apart. */
const GAP = 8;
const TURNS = 300;

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

const fontOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

/** Make a canvas as sharp as the screen and return its context, in CSS pixels. */
export function sharpen(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

/** Draw all points; those that are not `lit` first, faint, below the others. */
export function drawPoints(context, data, view, colours) {
  const { width, height } = context.canvas;
  // Paths take ten times as long for 60,000 points.
  const image = context.createImageData(width, height);
  fill(image.data, rgb(colours.paper));
  const paint = painter(image, view, data);
  const faint = rgb(colours.faint);
  for (let i = 0; i < data.n; i++) if (!data.lit(i)) paint(i, faint, FAINT);
  const alpha = data.n > VERY_MANY ? 0.6 : data.n > MANY ? 0.8 : 0.95;
  const [plain, labels] = [rgb(colours.plain), colours.labels.map(rgb)];
  for (let i = 0; i < data.n; i++) {
    if (!data.lit(i)) continue;
    const label = data.label(i);
    const ink = label === null || label < 0 ? plain : labels[label % COLOURS];
    paint(i, ink, alpha, Math.floor((label ?? 0) / COLOURS));
  }
  context.putImageData(image, 0, 0);
  drawNames(context, data, view, colours);
}

/** Return the red, green and blue of a resolved colour. */
const rgb = (text) => text.match(/[\d.]+/g).slice(0, 3).map(Number);

function fill(pixels, [red, green, blue]) {
  new Uint32Array(pixels.buffer).fill(((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0);
}

/** Return a function that blends point i into the pixels of an image. */
function painter({ data: pixels, width, height }, view, { xy, n }) {
  const base = n > VERY_MANY ? 1.4 : n > MANY ? 2.1 : 3.4;
  const ratio = width / view.width;
  const radius = ratio * Math.min(6, base * Math.sqrt(view.zoom) ** 0.8);
  const stamps = [0, 1, 2].map((shape) => stamp(radius, shape));
  const scale = ratio * view.scale;
  return (i, [red, green, blue], alpha, shape = 0) => {
    const x = Math.round(width / 2 + (xy[2 * i] - view.x) * scale);
    const y = Math.round(height / 2 - (xy[2 * i + 1] - view.y) * scale);
    const { reach, cover } = stamps[Math.max(0, shape) % 3];
    if (x < reach || y < reach || x >= width - reach || y >= height - reach) return;
    for (let dy = -reach, k = 0; dy <= reach; dy++) {
      let at = 4 * ((y + dy) * width + x - reach);
      for (let dx = -reach; dx <= reach; dx++, k++, at += 4) {
        const share = alpha * cover[k];
        pixels[at] += share * (red - pixels[at]);
        pixels[at + 1] += share * (green - pixels[at + 1]);
        pixels[at + 2] += share * (blue - pixels[at + 2]);
      }
    }
  };
}

/** Labels beyond the tenth have the colours of the first ten, as other shapes. */
const SHAPES = [
  (x, y, radius) => Math.hypot(x, y) <= radius,
  (x, y, radius) => Math.max(Math.abs(x), Math.abs(y)) <= radius,
  (x, y, radius) => y <= 1.3 * radius && 2 * Math.abs(x) <= y + 1.3 * radius,
];

/** Return how much of each pixel around its middle a shape covers. */
function stamp(radius, shape) {
  const reach = Math.ceil((shape === 2 ? 1.3 : 1) * radius);
  const side = 2 * reach + 1;
  const parts = [-0.375, -0.125, 0.125, 0.375];
  const cover = Float32Array.from({ length: side * side }, (_, k) => {
    const [x, y] = [(k % side) - reach, Math.floor(k / side) - reach];
    const inside = parts.flatMap((dy) => parts.filter((dx) => SHAPES[shape](x + dx, y + dy, radius)));
    return inside.length / parts.length ** 2;
  });
  return { reach, cover };
}

/** Write each label's name in the middle of its examples, so that colour is not all there is. */
function drawNames(context, data, view, colours) {
  const middles = data.middles;
  if (middles.length < 2 || middles.length > 40) return;
  const names = middles.map(({ label }) => labelName(label));
  const size = Math.max(...names.map((name) => name.length)) > 2 ? 17 : 25;
  context.font = `600 ${size}px ${fontOf("--serif")}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const boxes = middles.map(({ x, y }, i) => ({
    ...view.toPoint(x, y),
    name: names[i],
    width: context.measureText(names[i]).width + GAP,
    height: 1.1 * size,
  }));
  separate(boxes);
  for (const { x, y, name } of boxes) {
    context.strokeStyle = colours.paper;
    context.lineWidth = 6;
    context.strokeText(name, x, y);
    context.fillStyle = colours.ink;
    context.fillText(name, x, y);
  }
}

/** Move boxes, {x, y, width, height} with x and y of the middle, until none covers another. */
export function separate(boxes) {
  for (let turn = 0, moved = true; moved && turn < TURNS; turn++) {
    moved = false;
    boxes.forEach((one, i) => {
      for (const two of boxes.slice(i + 1)) moved = pushApart(one, two) || moved;
    });
  }
}

/** Push two boxes apart along the axis on which they cover each other less; false if they do not. */
function pushApart(one, two) {
  const covered = ["x", "y"].map((axis) => {
    const side = axis === "x" ? "width" : "height";
    return (one[side] + two[side]) / 2 - Math.abs(two[axis] - one[axis]);
  });
  if (Math.min(...covered) <= 0) return false;
  const axis = covered[0] < covered[1] ? "x" : "y";
  // Half a pixel more, so that rounding leaves no rest.
  const step = (Math.min(...covered) / 2 + 0.5) * (two[axis] < one[axis] ? -1 : 1);
  one[axis] -= step;
  two[axis] += step;
  return true;
}
