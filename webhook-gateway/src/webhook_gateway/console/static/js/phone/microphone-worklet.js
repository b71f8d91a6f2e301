// In the audio thread: the microphone's samples, resampled, as frames of 20 ms s16le.

import { Resampler } from "./resampler.js";

const FRAMES_PER_S = 50;

class Frames extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate } }) {
    super();
    this.resampler = new Resampler(sampleRate, rate);
    this.size = rate / FRAMES_PER_S;
    this.frame = new Int16Array(this.size);
    this.filled = 0;
  }

  process([[channel]]) {
    // No channel: the microphone is not connected yet, or is gone.
    if (channel) for (const sample of this.resampler.push(channel)) this.take(sample);
    return true;
  }

  take(sample) {
    this.frame[this.filled] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
    this.filled += 1;
    if (this.filled < this.size) return;
    this.port.postMessage(this.frame.buffer, [this.frame.buffer]);
    this.frame = new Int16Array(this.size);
    this.filled = 0;
  }
}

registerProcessor("frames", Frames);
