/** Downloads: pictures as PNG, codes as JSON or as NumPy's .npy. */

import { canvasOf } from "./picture.js";
import { isImage, run } from "./run.js";

/** Save a file. */
export function saveBlob(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // Not at once: the browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** Save a canvas as NAME.png. */
export function saveCanvas(canvas, name) {
  canvas.toBlob((blob) => saveBlob(blob, `${name}.png`), "image/png");
}

/** Save an example: an image as PNG pixel by pixel, a vector as .npy in the units of the data. */
export function saveExample(data, name) {
  if (isImage()) saveCanvas(canvasOf(data), name);
  else saveBlob(new Blob([npy(data, [data.length])]), `${name}.npy`);
}

/** Save several examples as one sheet of pictures, `columns` wide. */
export function saveSheet(pictures, name, columns) {
  const tiles = pictures.map(canvasOf);
  const [width, height] = [tiles[0].width, tiles[0].height];
  const sheet = document.createElement("canvas");
  sheet.width = Math.min(columns, tiles.length) * (width + 2) + 2;
  sheet.height = Math.ceil(tiles.length / columns) * (height + 2) + 2;
  const context = sheet.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, sheet.width, sheet.height);
  tiles.forEach((tile, i) => {
    const [column, row] = [i % columns, Math.floor(i / columns)];
    context.drawImage(tile, 2 + column * (width + 2), 2 + row * (height + 2));
  });
  saveCanvas(sheet, name);
}

/** Save a code with where it comes from as JSON. */
export function saveJson(code, about, name) {
  const values = { run: run.folder_name, source: about, code: Array.from(code) };
  const blob = new Blob([`${JSON.stringify(values, null, 1)}\n`], { type: "application/json" });
  saveBlob(blob, `${name}.json`);
}

/** Save one code, (1, D), or several, (n, D), as .npy: the form that glo and NumPy read. */
export function saveNpy(codes, name) {
  const rows = codes.length / run.code_dim;
  saveBlob(new Blob([npy(codes, [rows, run.code_dim])]), `${name}.npy`);
}

/** Return the bytes of a .npy file, version 1.0, of float32 in C order. */
export function npy(values, shape) {
  const places = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${places}), }`;
  // The header ends with a newline, and the numbers begin at a multiple of 64.
  const start = Math.ceil((10 + text.length + 1) / 64) * 64;
  const file = new Uint8Array(start + 4 * values.length).fill(0x20, 0, start);
  file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(file.buffer).setUint16(8, start - 10, true);
  file.set(new TextEncoder().encode(text), 10);
  file[start - 1] = 0x0a;
  const numbers = new DataView(file.buffer, start);
  values.forEach((value, i) => numbers.setFloat32(4 * i, value, true));
  return file;
}
