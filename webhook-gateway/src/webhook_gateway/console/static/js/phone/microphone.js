// The microphone, as frames of 20 ms s16le at the call's rate.

const WORKLET = new URL("./microphone-worklet.js", import.meta.url);

const PROBLEMS = {
  NotAllowedError: ["The browser does not let this page use the microphone.", "Allow it in the address bar, then call again."],
  NotFoundError: ["There is no microphone.", "Connect one, then call again."],
  NotReadableError: ["The microphone can't be used.", "Close other programs that use it, then call again."],
};

/** An Error with `hint`, for people. */
export function problem(message, hint) {
  return Object.assign(new Error(message), { hint });
}

export class Microphone {
  /** Opens it. `onFrame` gets an ArrayBuffer every 20 ms. Throws `problem`s. */
  static async open(context, rate, onFrame) {
    if (!navigator.mediaDevices || !context.audioWorklet) {
      throw problem("The browser gives no microphone to this page.", "Open the console by https, or on localhost.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      throw problem(...(PROBLEMS[error.name] ?? [`The microphone can't be used: ${error.message}`, ""]));
    }
    try {
      await context.audioWorklet.addModule(WORKLET);
      return new Microphone(context, stream, rate, onFrame);
    } catch (error) {
      stream.getTracks().forEach((track) => track.stop());
      throw error;
    }
  }

  constructor(context, stream, rate, onFrame) {
    this.stream = stream;
    this.source = context.createMediaStreamSource(stream);
    this.frames = new AudioWorkletNode(context, "frames", { numberOfOutputs: 0, processorOptions: { rate } });
    this.frames.port.onmessage = ({ data }) => onFrame(data);
    this.source.connect(this.frames);
  }

  /** Off: it delivers silence. */
  set on(on) {
    for (const track of this.stream.getTracks()) track.enabled = on;
  }

  close() {
    this.frames.port.onmessage = null;
    this.source.disconnect();
    for (const track of this.stream.getTracks()) track.stop();
  }
}
