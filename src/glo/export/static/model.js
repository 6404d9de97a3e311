/** The graphs of a run, and codes between codes. */

import * as ort from "./ort.wasm.bundle.min.mjs";

// More threads need headers that plain file servers do not send.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };

/** Load what the page needs; throws what the browser says when a file is missing. */
export async function loadModel() {
  const answer = await fetch("about.json");
  if (!answer.ok) throw new Error(`about.json: ${answer.status}`);
  const about = await answer.json();
  const sampler = await ort.InferenceSession.create("sampler.onnx");
  const decoder = await ort.InferenceSession.create("decoder.onnx");
  const encoder = about.encoder ? await ort.InferenceSession.create("encoder.onnx") : null;
  return new Model(about, sampler, decoder, encoder);
}

class Model {
  constructor(about, sampler, decoder, encoder) {
    this.about = about;
    this.sampler = sampler;
    this.decoder = decoder;
    this.encoder = encoder;
  }

  /** Whether pictures can be encoded. */
  get takesPictures() {
    return this.encoder !== null && this.about.shape.length === 3;
  }

  /** Return the code of one image, Float32Array(D); `values` are (C, H, W) in [-1, 1]. */
  async encode(values) {
    const [, height, width] = this.about.shape;
    const seen = new Float32Array(height * width).fill(1);
    const { codes } = await this.encoder.run({
      examples: new ort.Tensor("float32", values, [1, ...this.about.shape]),
      mask: new ort.Tensor("float32", seen, [1, 1, height, width]),
    });
    return codes.data;
  }

  /** Return `n` codes, Float32Array(n D), that depend on the seed and the temperature alone. */
  async sample(n, seed, temperature) {
    const width = this.about.noise_dim;
    const noise = new ort.Tensor("float32", normal(n * width, seed), [n, width]);
    const spread = new ort.Tensor("float32", Float32Array.of(temperature), []);
    const { codes } = await this.sampler.run({ noise, temperature: spread });
    return codes.data;
  }

  /** Return one Float32Array for each code. */
  async decode(codes) {
    const width = this.about.code_dim;
    const n = codes.length / width;
    const { examples } = await this.decoder.run({
      codes: new ort.Tensor("float32", codes, [n, width]),
    });
    const size = examples.data.length / n;
    return Array.from({ length: n }, (_, i) => examples.data.slice(i * size, (i + 1) * size));
  }

  /** Return codes on the straight way from `a` to `b`, moved onto the constraint. */
  between(a, b, places) {
    const codes = new Float32Array(places.length * a.length);
    places.forEach((place, i) => {
      const code = a.map((value, k) => value + place * (b[k] - value));
      const norm = Math.hypot(...code);
      const held = { free: 1, ball: Math.max(norm, 1), sphere: norm || 1 }[this.about.constraint];
      codes.set(code.map((value) => value / held), i * a.length);
    });
    return codes;
  }
}

/** Draw normal numbers by Box and Muller from the generator mulberry32. */
function normal(n, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    // In (0, 1]: the logarithm must not see zero.
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 1) / 4294967296;
  };
  return Float32Array.from({ length: n }, () =>
    Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}
