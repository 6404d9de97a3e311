/** Which part of the map is seen: zoom and pan, between places and points of the screen. */

const LARGEST = 40;
const MARGIN = 30;

/** A window on the plane: places in [-1, 1], points in CSS pixels of the canvas. */
export class View {
  zoom = 1;
  x = 0;
  y = 0;
  width = 1;
  height = 1;

  /** Say how large the canvas is, and how far the places reach in each direction. */
  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  /** Pixels for a unit of the plane. */
  get scale() {
    return (this.zoom * (Math.min(this.width, this.height) - 2 * MARGIN)) / 2;
  }

  /** Return the point of a place. Up on the screen is up on the map. */
  toPoint(x, y) {
    return {
      x: this.width / 2 + (x - this.x) * this.scale,
      y: this.height / 2 - (y - this.y) * this.scale,
    };
  }

  /** Return the place of a point. */
  toPlace(x, y) {
    return {
      x: this.x + (x - this.width / 2) / this.scale,
      y: this.y - (y - this.height / 2) / this.scale,
    };
  }

  /** Zoom by a factor so that the place under a point stays under it. */
  zoomAt(x, y, factor) {
    const before = this.toPlace(x, y);
    this.zoom = Math.min(LARGEST, Math.max(0.6, this.zoom * factor));
    const after = this.toPlace(x, y);
    this.x += before.x - after.x;
    this.y += before.y - after.y;
    this.#keepNear();
  }

  /** Move what is seen by so many pixels. */
  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y += dy / this.scale;
    this.#keepNear();
  }

  /** See everything again. */
  reset() {
    [this.zoom, this.x, this.y] = [1, 0, 0];
  }

  /** Nobody should lose the map: its middle stays within reach. */
  #keepNear() {
    this.x = Math.min(1.6, Math.max(-1.6, this.x));
    this.y = Math.min(1.6, Math.max(-1.6, this.y));
  }
}
