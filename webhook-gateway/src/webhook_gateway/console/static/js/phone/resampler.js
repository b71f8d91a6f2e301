// Changes the sample rate of a stream of audio: a windowed sinc, so that nothing above the new band folds into it.

const ZERO_CROSSINGS = 12;
const PHASES = 256;
const PASS = 0.92; // of the narrower band: the rest is the filter's slope

export class Resampler {
  /** Rates in Hz. */
  constructor(from, to) {
    this.step = from / to;
    this.same = from === to;
    const cutoff = Math.min(1, to / from) * PASS;
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.kernels = Array.from({ length: PHASES }, (_, phase) => kernel(cutoff, this.half, phase / PHASES));
    this.held = new Float32Array(this.half);
    this.at = this.half;
  }

  /** The next samples in, as many as can be made of them out (-1..1). */
  push(samples) {
    if (this.same) return samples.slice();
    const held = new Float32Array(this.held.length + samples.length);
    held.set(this.held);
    held.set(samples, this.held.length);
    const made = new Float32Array(Math.max(0, Math.ceil((held.length - this.half - this.at) / this.step) + 1));
    let count = 0;
    for (; Math.floor(this.at) + this.half < held.length; this.at += this.step) {
      const whole = Math.floor(this.at);
      const weights = this.kernels[Math.floor((this.at - whole) * PHASES)];
      const first = whole - this.half + 1;
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap += 1) sum += weights[tap] * held[first + tap];
      made[count] = sum;
      count += 1;
    }
    const done = Math.max(0, Math.min(held.length, Math.floor(this.at) - this.half + 1));
    this.held = held.slice(done);
    this.at -= done;
    return made.subarray(0, count);
  }
}

/** Weights for a place `fraction` of a sample after the middle; they add up to 1. */
function kernel(cutoff, half, fraction) {
  const weights = new Float32Array(2 * half);
  let sum = 0;
  for (let tap = 0; tap < weights.length; tap += 1) {
    const x = tap - half + 1 - fraction;
    const place = x / half;
    const window = Math.abs(place) < 1 ? 0.42 + 0.5 * Math.cos(Math.PI * place) + 0.08 * Math.cos(2 * Math.PI * place) : 0;
    const angle = Math.PI * cutoff * x;
    weights[tap] = window * (angle === 0 ? 1 : Math.sin(angle) / angle);
    sum += weights[tap];
  }
  return weights.map((weight) => weight / sum);
}
