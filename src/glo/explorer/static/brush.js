/** An image that can be painted on: holes to be filled, and light or dark strokes. */

import { run } from "./run.js";
import { canvasOf, size } from "./picture.js";
import { colour } from "./dom.js";

const UNDOS = 40;
/** What a stroke of each tool leaves: the grey of its pixels and whether they are known. */
const TOOLS = {
  hole: { grey: null, known: 0 },
  light: { grey: 255, known: 1 },
  dark: { grey: 0, known: 1 },
  mend: { grey: null, known: 1 },
};

/** Pixels, uint8 (H * W * C), and a mask, uint8 (H * W), 1 where a pixel is known. */
export class Painting {
  #past = [];

  constructor(pixels) {
    [this.channels, this.height, this.width] = run.shape;
    this.original = Uint8Array.from(pixels);
    this.pixels = Uint8Array.from(pixels);
    this.mask = new Uint8Array(this.width * this.height).fill(1);
  }

  /** How many pixels are unknown. */
  get holes() {
    return this.mask.length - this.mask.reduce((sum, known) => sum + known, 0);
  }

  get hasPast() {
    return this.#past.length > 0;
  }

  /** Keep what is there now, to come back to. */
  remember() {
    this.#past.push({ pixels: this.pixels.slice(), mask: this.mask.slice() });
    if (this.#past.length > UNDOS) this.#past.shift();
  }

  undo() {
    const before = this.#past.pop();
    if (before) Object.assign(this, before);
  }

  /** Make everything known and as it was. */
  clear() {
    this.remember();
    this.pixels.set(this.original);
    this.mask.fill(1);
  }

  /** Apply a tool to every pixel within half of `width` of the line between two places. */
  stroke(tool, from, to, width) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const square = dx * dx + dy * dy || 1;
    const reach = Math.max(0.5, width / 2);
    this.#each(tool, (x, y) => {
      const along = ((x - from.x) * dx + (y - from.y) * dy) / square;
      const t = Math.min(1, Math.max(0, along));
      return Math.hypot(x - from.x - t * dx, y - from.y - t * dy) <= reach;
    });
  }

  /** Make a hole of a named shape. */
  shape(name) {
    this.remember();
    const [w, h] = [this.width, this.height];
    const inside = {
      left: (x) => x < w / 2,
      right: (x) => x > w / 2,
      top: (_, y) => y < h / 2,
      bottom: (_, y) => y > h / 2,
      centre: (x, y) => Math.abs(x - w / 2) < w / 4 && Math.abs(y - h / 2) < h / 4,
      all: () => true,
    };
    this.#each("hole", inside[name]);
  }

  /** Apply a tool to the pixels whose middles are inside. */
  #each(tool, inside) {
    const { grey, known } = TOOLS[tool];
    for (let i = 0; i < this.mask.length; i++) {
      if (!inside((i % this.width) + 0.5, Math.floor(i / this.width) + 0.5)) continue;
      this.mask[i] = known;
      for (let c = 0; c < this.channels; c++) {
        const at = i * this.channels + c;
        this.pixels[at] = grey ?? this.original[at];
      }
    }
  }

  /** Draw it large, with holes hatched, and a ring where the brush is. */
  draw(canvas, brush) {
    const scale = Math.max(1, Math.round(640 / Math.max(this.width, this.height)));
    size(canvas, this.width * scale, this.height * scale);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(canvasOf(this.pixels), 0, 0, canvas.width, canvas.height);
    context.fillStyle = hatch(context);
    for (let i = 0; i < this.mask.length; i++) {
      if (this.mask[i]) continue;
      const [x, y] = [i % this.width, Math.floor(i / this.width)];
      context.fillRect(x * scale, y * scale, scale, scale);
    }
    if (brush) drawBrush(context, brush, scale);
  }
}

/** Return the pattern of holes: nobody should take one for a grey pixel. */
function hatch(context) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 12;
  const pen = tile.getContext("2d");
  pen.fillStyle = colour("--hole");
  pen.fillRect(0, 0, 12, 12);
  pen.strokeStyle = colour("--hole-line");
  pen.lineWidth = 2;
  for (const shift of [-12, 0, 12]) {
    pen.moveTo(shift - 2, 14);
    pen.lineTo(shift + 14, -2);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}

function drawBrush(context, { x, y, width }, scale) {
  const radius = Math.max(0.5, width / 2) * scale;
  for (const [style, line] of [["#000", 5], ["#fff", 2]]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.beginPath();
    context.arc(x * scale, y * scale, radius, 0, 7);
    context.stroke();
  }
}
