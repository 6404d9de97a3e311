/** What a mouse, fingers and keys do on the map. */

import { write } from "./dom.js";
import { hand } from "./hand.js";

/** A press that moves less than this is a click, in pixels. */
const STILL = 4;
const STEP = 8;

/** Count pictures that are shown within the last second, and write the rate down. */
class Rate {
  #times = [];
  active = false;

  constructor() {
    hand.addEventListener("picture", () => this.#count());
  }

  #count() {
    if (!this.active) return;
    const now = performance.now();
    this.#times = this.#times.filter((time) => time > now - 1000);
    this.#times.push(now);
    const span = now - this.#times[0];
    if (span < 200) return;
    const rate = Math.round((1000 * (this.#times.length - 1)) / span);
    write("rate", `${rate} pictures a second`);
  }

  start() {
    this.#times = [];
    this.active = true;
  }

  stop() {
    this.active = false;
  }
}

/** Bind the map to the events of its canvas. */
export function listen(canvas, map) {
  const rate = new Rate();
  const fingers = new Map();
  let press = null;
  const point = (event) => ({ x: event.offsetX, y: event.offsetY });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1 || !map.data) return;
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, point(event));
    press = { ...point(event), moved: false, does: action(event), how: change(event) };
    if (event.button === 1) event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!map.data) return;
    const at = point(event);
    if (!press) {
      map.hoverAt(at.x, at.y);
      return;
    }
    const before = fingers.get(event.pointerId);
    if (!before) return;
    fingers.set(event.pointerId, at);
    press.moved ||= Math.hypot(at.x - press.x, at.y - press.y) > STILL;
    if (fingers.size > 1) pinch(event.pointerId, before);
    else if (!press.moved || press.pinched) return;
    else if (press.does === "pan") shift(at, before);
    else if (press.does === "select") outline(at);
    else drag(at);
  });

  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => {
      fingers.delete(event.pointerId);
      if (press && name === "pointerup") release();
      else map.lasso.cancel(map.view);
      if (fingers.size > 0) return;
      press = null;
      rate.stop();
    });
  }

  canvas.addEventListener("pointerleave", () => map.leave());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (!map.data) return;
    map.view.zoomAt(event.offsetX, event.offsetY, Math.exp(-event.deltaY / 500));
    map.redraw();
  }, { passive: false });
  listenToKeys(canvas, map);

  /** What a drag does: with Shift or the middle button it moves the map, unless Shift selects. */
  function action(event) {
    if (event.button === 1) return "pan";
    if (map.tool !== "decode") return "select";
    return event.shiftKey ? "pan" : "decode";
  }

  /** How a drag changes the selection; undefined leaves that to the page's control. */
  function change(event) {
    if (event.shiftKey) return "add";
    return event.altKey ? "remove" : undefined;
  }

  function release() {
    if (map.lasso.active) map.selectOutlined(press.how);
    else if (press.moved) return;
    else if (press.does === "select") map.toggleAt(press.x, press.y);
    else map.pinAt(press.x, press.y);
  }

  function outline(at) {
    if (!press.outlines) map.outlineFrom(press.x, press.y);
    press.outlines = true;
    // Escape ends it, although the button is still down.
    if (map.lasso.active) map.outlineTo(at.x, at.y);
  }

  function drag(at) {
    if (!rate.active) rate.start();
    map.leave();
    map.decodeAt(at.x, at.y);
  }

  function shift(at, before) {
    map.leave();
    map.view.pan(at.x - before.x, at.y - before.y);
    map.redraw();
  }

  /** Two fingers: what is between them stays between them. */
  function pinch(id, before) {
    press.pinched = press.moved = true;
    map.lasso.cancel(map.view);
    const other = [...fingers].find(([key]) => key !== id)[1];
    const now = fingers.get(id);
    const apart = (a) => Math.max(20, Math.hypot(a.x - other.x, a.y - other.y));
    map.view.zoomAt((now.x + other.x) / 2, (now.y + other.y) / 2, apart(now) / apart(before));
    map.view.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    map.redraw();
  }
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const TOOLS = { d: "decode", l: "lasso", b: "box" };

/**
 * Arrows move the pointer and decode under it, Enter takes the nearest example, + - 0 zoom. With a
 * tool that selects, Space begins and ends an outline, and Enter selects the nearest example.
 */
function listenToKeys(canvas, map) {
  canvas.addEventListener("keydown", (event) => {
    if (!map.data || event.ctrlKey || event.metaKey || event.altKey) return;
    const { width, height } = map.view;
    const at = map.cursor
      ? map.view.toPoint(map.cursor.x, map.cursor.y)
      : { x: width / 2, y: height / 2 };
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key].map((sign) => sign * STEP * (event.shiftKey ? 5 : 1));
      const x = Math.min(width, Math.max(0, at.x + dx));
      const y = Math.min(height, Math.max(0, at.y + dy));
      map.moveTo(x, y);
    } else if (event.key in TOOLS) map.take(TOOLS[event.key]);
    else if (event.key === "a") map.selectShown();
    else if (event.key === "Escape" && map.lasso.active) map.lasso.cancel(map.view);
    else if (map.lasso.active && (event.key === " " || event.key === "Enter")) map.selectOutlined();
    else if (event.key === " " && map.tool !== "decode") map.outlineFrom(at.x, at.y);
    else if (event.key === "Enter" && map.tool !== "decode") map.toggleAt(at.x, at.y);
    else if (event.key === "Enter" || event.key === " ") map.pinAt(at.x, at.y);
    else if (event.key === "+" || event.key === "=") map.zoom(1.5);
    else if (event.key === "-") map.zoom(1 / 1.5);
    else if (event.key === "0") map.zoom(0);
    else {
      if (event.key === "Escape") map.leave();
      return;
    }
    event.preventDefault();
  });
  canvas.addEventListener("blur", () => map.leave());
}
