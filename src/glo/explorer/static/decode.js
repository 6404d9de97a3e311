/** From codes to pictures, one at a time while something moves, or many at once. */

import { postRaw } from "./api.js";
import { isImage, run } from "./run.js";

const AT_ONCE = 128;

/** Decode one batch of codes, (B * D), into B arrays of pixels or numbers. */
async function decodeBatch(codes) {
  const response = await postRaw("api/decode", codes);
  const body = await response.arrayBuffer();
  const all = isImage() ? new Uint8Array(body) : new Float32Array(body);
  const count = codes.length / run.code_dim;
  const size = all.length / count;
  return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size));
}

/** Decode any number of codes, an array of Float32Array, in batches. */
export async function decodeAll(codes) {
  const pictures = [];
  for (let i = 0; i < codes.length; i += AT_ONCE) {
    pictures.push(...(await decodeBatch(join(codes.slice(i, i + AT_ONCE)))));
  }
  return pictures;
}

/** Return codes one after the other in one array. */
export function join(codes) {
  const all = new Float32Array(codes.length * run.code_dim);
  codes.forEach((code, i) => all.set(code, i * run.code_dim));
  return all;
}

/** Return one array of codes, (n * D), as n codes. */
export function split(all) {
  const count = all.length / run.code_dim;
  return Array.from({ length: count }, (_, i) =>
    all.slice(i * run.code_dim, (i + 1) * run.code_dim),
  );
}

/**
 * Decode what moves: one request in flight, and of the codes that come meanwhile only the newest.
 * A queue would show where the pointer was; this shows where it is.
 */
export class Live {
  #wanted = null;
  #busy = false;

  /** `show(code, picture)` gets what is decoded, `fail(error)` what goes wrong. */
  constructor(show, fail) {
    this.show = show;
    this.fail = fail;
  }

  /** Decode this code as soon as the one in flight is back. */
  ask(code) {
    this.#wanted = code;
    if (!this.#busy) this.#work();
  }

  async #work() {
    this.#busy = true;
    while (this.#wanted) {
      const code = this.#wanted;
      this.#wanted = null;
      try {
        this.show(code, (await decodeBatch(code))[0]);
      } catch (error) {
        this.#wanted = null;
        this.fail(error);
      }
    }
    this.#busy = false;
  }
}
