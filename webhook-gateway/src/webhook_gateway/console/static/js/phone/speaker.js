// Plays the bot's pieces of audio one after the other without a seam, by the audio clock, and stops them at once.

import { Resampler } from "./resampler.js";

const AHEAD_S = 0.03; // so that a piece that comes into silence is not late for its own beginning

export class Speaker {
  constructor(context) {
    this.context = context;
    this.out = context.createAnalyser();
    this.out.connect(context.destination);
    this.heard = new Float32Array(this.out.fftSize);
    this.playing = new Set();
    this.until = 0;
    this.rate = null;
    this.resampler = null;
  }

  /** Queue one piece: base64 of s16le mono at `rate` Hz. */
  play(base64, rate) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const samples = new Int16Array(bytes.buffer, 0, Math.floor(bytes.length / 2));
    const piece = this.#resampler(rate).push(Float32Array.from(samples, (sample) => sample / 32768));
    if (!piece.length) return;
    const buffer = this.context.createBuffer(1, piece.length, this.context.sampleRate);
    buffer.copyToChannel(piece, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.out);
    source.addEventListener("ended", () => {
      this.playing.delete(source);
      source.disconnect();
    });
    const begin = Math.max(this.until, this.context.currentTime + AHEAD_S);
    this.until = begin + buffer.duration;
    this.playing.add(source);
    source.start(begin);
  }

  /** Silence, now. */
  stop() {
    for (const source of this.playing) {
      source.stop();
      source.disconnect();
    }
    this.playing.clear();
    this.until = 0;
    this.rate = null;
  }

  /** How loud it is right now, 0..1. */
  level() {
    this.out.getFloatTimeDomainData(this.heard);
    return rms(this.heard);
  }

  // Kept from piece to piece: the filter's memory is what makes their seams unheard.
  #resampler(rate) {
    if (rate !== this.rate) {
      this.rate = rate;
      this.resampler = new Resampler(rate, this.context.sampleRate);
    }
    return this.resampler;
  }
}

/** Root mean square of samples in -1..1. */
export function rms(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length ? Math.sqrt(sum / samples.length) : 0;
}
