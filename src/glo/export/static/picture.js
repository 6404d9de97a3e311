/** A picture file as an example of the model. */

/** Crop the centre of a picture to the ratio of the model's images, scale it, and return
 * its values (C, H, W) in [-1, 1]; transparent pixels are laid on white. */
export async function readPicture(file, [channels, height, width]) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(bitmap.width / width, bitmap.height / height);
  const [across, down] = [width * scale, height * scale];
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(bitmap, (bitmap.width - across) / 2, (bitmap.height - down) / 2, across, down,
    0, 0, width, height);
  return toValues(pen.getImageData(0, 0, width, height).data, channels);
}

function toValues(bytes, channels) {
  const size = bytes.length / 4;
  const values = new Float32Array(channels * size);
  for (let pixel = 0; pixel < size; pixel += 1) {
    const [red, green, blue] = bytes.slice(4 * pixel, 4 * pixel + 3);
    const colours = channels === 3
      ? [red, green, blue]
      // As the training data are converted to grey.
      : [(red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16];
    colours.forEach((value, i) => {
      values[i * size + pixel] = value / 127.5 - 1;
    });
  }
  return values;
}
