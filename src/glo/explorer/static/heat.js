/** Heat maps: the squared error of each pixel of a picture. */

import { size } from "./picture.js";
import { run } from "./run.js";

/** Largest error of the scale, in squared errors of a typical example. */
const TIMES = 60;
/** From no error to the largest: red, green, blue. */
const STOPS = [[13, 12, 11], [92, 30, 20], [196, 78, 28], [246, 180, 79], [255, 246, 220]];

/** Return the error from which on all errors have the last colour; half the range without others. */
export const heatLimit = () => (run.typical_residual ? TIMES * run.typical_residual : 1);

/** Draw the squared error of each pixel, the mean over channels, of a range from -1 to 1. */
export function drawHeat(canvas, original, decoded) {
  const [channels, height, width] = run.shape;
  const limit = heatLimit();
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    let sum = 0;
    for (let k = i * channels; k < (i + 1) * channels; k++) {
      sum += ((original[k] - decoded[k]) / 127.5) ** 2;
    }
    image.data.set([...mix(Math.min(1, sum / channels / limit)), 255], 4 * i);
  }
  size(canvas, width, height);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function mix(share) {
  const at = share * (STOPS.length - 1);
  const low = Math.min(STOPS.length - 2, Math.floor(at));
  return STOPS[low].map((value, c) => value + (at - low) * (STOPS[low + 1][c] - value));
}
