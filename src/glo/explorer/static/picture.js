/** Draw what a code decodes to: pixels, or the line of a vector. */

import { colour } from "./dom.js";
import { isImage, run } from "./run.js";

/** Smallest and largest number seen in any vector, so that all lines share one scale. */
const seen = { low: Infinity, high: -Infinity };

/** Draw an example on a canvas: uint8 (H * W * C), or float32 (F). */
export function draw(canvas, data) {
  if (isImage()) drawPixels(canvas, data);
  else drawLine(canvas, data);
}

function drawPixels(canvas, data) {
  const [channels, height, width] = run.shape;
  size(canvas, width, height);
  const image = new ImageData(toRgba(data, channels), width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Return pixels of 1 or 3 channels as RGBA. */
function toRgba(data, channels) {
  const pixels = data.length / channels;
  const rgba = new Uint8ClampedArray(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) rgba[4 * i + c] = data[i * channels + (channels === 3 ? c : 0)];
    rgba[4 * i + 3] = 255;
  }
  return rgba;
}

/** Return the pixels that a canvas shows, uint8 (H * W * C). */
export function pixelsOf(canvas) {
  const [channels, height, width] = run.shape;
  const rgba = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < channels; c++) data[i * channels + c] = rgba[4 * i + c];
  }
  return data;
}

/** Set the size of a canvas where it differs: setting it clears the canvas. */
export function size(canvas, width, height) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

function drawLine(canvas, data) {
  size(canvas, 240, 240);
  for (const number of data) {
    seen.low = Math.min(seen.low, number);
    seen.high = Math.max(seen.high, number);
  }
  const context = canvas.getContext("2d");
  const span = seen.high - seen.low || 1;
  const x = (i) => 14 + (212 * (data.length > 1 ? i : 0.5)) / Math.max(1, data.length - 1);
  const y = (number) => 226 - (212 * (number - seen.low)) / span;
  context.fillStyle = colour("--film");
  context.fillRect(0, 0, 240, 240);
  drawZero(context, y);
  context.strokeStyle = context.fillStyle = colour("--on-film");
  context.lineWidth = 3;
  context.lineJoin = "round";
  context.beginPath();
  data.forEach((number, i) => context.lineTo(x(i), y(number)));
  context.stroke();
  if (data.length <= 24) data.forEach((number, i) => dot(context, x(i), y(number)));
}

function drawZero(context, y) {
  if (seen.low > 0 || seen.high < 0) return;
  context.fillStyle = colour("--edge");
  context.fillRect(14, Math.round(y(0)), 212, 1);
}

function dot(context, x, y) {
  context.beginPath();
  context.arc(x, y, 5, 0, 7);
  context.fill();
}

/** Return a canvas of its own with an example on it. */
export function canvasOf(data) {
  const canvas = document.createElement("canvas");
  draw(canvas, data);
  return canvas;
}

/** Draw a code as bars about a middle line: one bar for each number. */
export function drawCode(canvas, code) {
  const bar = Math.max(1, Math.min(8, Math.floor(1200 / code.length)));
  const gap = bar > 3 ? 2 : 0;
  size(canvas, code.length * (bar + gap) - gap, 96);
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const largest = Math.max(1e-9, ...code.map(Math.abs));
  const [up, down] = [colour("--accent"), colour("--second")];
  code.forEach((number, i) => {
    const height = Math.max(1, (46 * Math.abs(number)) / largest);
    context.fillStyle = number >= 0 ? up : down;
    context.fillRect(i * (bar + gap), number >= 0 ? 48 - height : 48, bar, height);
  });
}
