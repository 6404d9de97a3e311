/** One example on a canvas: an image as it is, a vector as a line. */

/** Draw `values` of one example; `range` is that of the whole page, for vectors. */
export function draw(canvas, values, shape, range) {
  if (shape.length === 3) drawImage(canvas, values, shape);
  else drawLine(canvas, values, range);
}

/** Return the lowest and highest number of some examples. */
export function rangeOf(examples) {
  let [low, high] = [Infinity, -Infinity];
  for (const example of examples) {
    for (const value of example) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return [low, high];
}

function drawImage(canvas, values, [channels, height, width]) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const size = width * height;
  for (let pixel = 0; pixel < size; pixel += 1) {
    for (let colour = 0; colour < 3; colour += 1) {
      const value = values[(channels === 3 ? colour : 0) * size + pixel];
      image.data[4 * pixel + colour] = Math.round((value + 1) * 127.5);
    }
    image.data[4 * pixel + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function drawLine(canvas, values, [low, high]) {
  const [width, height, edge] = [160, 160, 8];
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  pen.strokeStyle = "#f0a94b";
  pen.lineWidth = 2;
  pen.beginPath();
  values.forEach((value, i) => {
    const x = edge + (width - 2 * edge) * (values.length > 1 ? i / (values.length - 1) : 0.5);
    const y = height - edge - (height - 2 * edge) * ((value - low) / (high - low || 1));
    pen.lineTo(x, y);
  });
  pen.stroke();
}
