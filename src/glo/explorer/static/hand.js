/**
 * The picture in hand: one code that every panel may take up, and that every panel can read.
 *
 * Events: "change" at once when there is another code, "picture" when it is decoded and drawn,
 * "settle" when it has not changed for a moment.
 */

import { complain, later } from "./dom.js";
import { Live } from "./decode.js";
import { bring } from "./run.js";

const SETTLED = 220;
const REMEMBERED = 60;

class Hand extends EventTarget {
  code = null;
  /** Where it comes from: {source, name, from, row, label}; `from` is the panel that set it. */
  about = { source: "", name: "", from: "", row: null, label: null };
  /** What the code decodes to, or null while that is not known yet. */
  picture = null;

  #past = [];
  #waiting = null;
  #live = new Live((code, picture) => this.#decoded(code, picture), complain);
  #settle = later(() => this.#settled(), SETTLED);

  /** Take up a code, and decode it. */
  take(code, about) {
    this.code = bring(Float32Array.from(code));
    this.about = { row: null, label: null, ...about };
    this.#live.ask(this.code);
    this.dispatchEvent(new Event("change"));
    this.#settle();
  }

  /** Whether there is an earlier code to go back to. */
  get hasPast() {
    return this.#past.length > 1;
  }

  /** Take up the code that was in hand before. */
  back() {
    this.#past.pop();
    const before = this.#past.pop();
    if (before) this.take(before.code, { ...before.about, from: "past" });
  }

  #settled() {
    this.#past.push({ code: this.code, about: this.about });
    if (this.#past.length > REMEMBERED) this.#past.shift();
    this.dispatchEvent(new Event("settle"));
  }

  /** Draw with the screen: several pictures may come between two of its frames. */
  #decoded(code, picture) {
    if (this.#waiting === null) requestAnimationFrame(() => this.#draw());
    this.#waiting = picture;
  }

  #draw() {
    this.picture = this.#waiting;
    this.#waiting = null;
    this.dispatchEvent(new Event("picture"));
  }
}

/** The one picture in hand. */
export const hand = new Hand();
