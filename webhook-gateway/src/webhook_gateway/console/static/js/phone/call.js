// The softphone's one call. It lives as long as the page does, whichever part of the console is shown.

import { endPhoneCall, post } from "../parts/api.js";
import { Microphone, problem } from "./microphone.js";
import { rms, Speaker } from "./speaker.js";

const MOST_UNSENT_S = 1; // older sound is worthless: on a slow network, frames are left out instead
const ORDERLY = [1000, 1005]; // close codes by which the streamer ends a call; any other is a connection that broke
const COME_BACK_MS = 10000; // so long the streamer keeps a call whose connection broke
const TRY_EVERY_MS = 500;

/**
 * Tells `change` (its `state`, `agent`, `callId`, `problem` or `ending` changed) and `happened` (detail: what, in words).
 * `state` is idle, calling, on, away (the connection broke, and is being made anew) or ended.
 */
class PhoneCall extends EventTarget {
  state = "idle";
  agent = null;
  callId = null;
  problem = null;
  ending = "";
  muted = false;
  micLevel = 0;
  dropped = 0;
  #parts = null;

  get busy() {
    return ["calling", "on", "away"].includes(this.state);
  }

  /** How loud the bot is, 0..1. */
  get botLevel() {
    return this.#parts?.speaker.level() ?? 0;
  }

  /** Call an agent, at 8000 or 16000 Hz. What goes wrong is told in `problem`. */
  async start(agent, rate) {
    if (this.busy) return;
    // Made while the click still counts: a browser lets no page speak that nobody touched.
    const context = new AudioContext({ latencyHint: "interactive" });
    const parts = { context, speaker: new Speaker(context), microphone: null, socket: null, rate, brokeAt: 0 };
    this.#parts = parts;
    Object.assign(this, { agent, callId: null, problem: null, ending: "", muted: false, dropped: 0, micLevel: 0 });
    this.#become("calling");
    try {
      await context.resume();
      parts.microphone = await Microphone.open(context, rate, (frame) => this.#send(frame, rate));
      const { call_id: callId, url } = await post("/softphone", { agent, sample_rate: rate });
      this.callId = callId;
      if (this.#parts !== parts) {
        // Hung up while it was being made.
        endPhoneCall(callId).catch(() => {});
        return;
      }
      parts.socket = this.#connect(url);
    } catch (error) {
      this.#end("", error);
    } finally {
      if (this.#parts !== parts) parts.microphone?.close();
    }
  }

  hangUp() {
    if (this.busy) this.#end("You hung up.");
  }

  /** Press a key: 0-9, * or #. */
  press(key) {
    if (this.state !== "on") return;
    this.#parts.socket.send(JSON.stringify({ event: "dtmf", digit: key }));
    this.#happened(`You pressed ${key}.`);
  }

  mute(on) {
    if (!this.#parts?.microphone) return;
    this.#parts.microphone.on = !on;
    this.muted = on;
    this.dispatchEvent(new Event("change"));
  }

  #connect(url) {
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    const mine = () => this.#parts?.socket === socket;
    socket.addEventListener("open", () => mine() && this.#become("on"));
    socket.addEventListener("message", ({ data }) => mine() && this.#hear(data));
    socket.addEventListener("close", ({ code, reason }) => {
      if (!mine()) return;
      if (this.state === "calling") {
        this.#end("", problem(`The streamer can't be reached at ${new URL(url).host}.`, "Check STREAMER_PUBLIC_URL and that it runs."));
      } else if (ORDERLY.includes(code)) this.#end(reason ? `The call was ended: ${reason}` : "The bot hung up.");
      else this.#comeBack(this.#parts);
    });
    return socket;
  }

  /** Connect again, with a pass of its own each time: the one before is soon worth nothing. */
  async #comeBack(parts) {
    parts.socket = null;
    if (this.state === "on") {
      parts.brokeAt = performance.now();
      // What was queued counts as not heard, and may be said again.
      parts.speaker.stop();
      this.#become("away");
      this.#happened("The connection broke; connecting again.");
    } else await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
    let failure = problem("The connection broke, and the streamer can't be reached.", "Call again.");
    while (this.#parts === parts && performance.now() - parts.brokeAt < COME_BACK_MS) {
      try {
        const { url } = await post(`/softphone/${encodeURIComponent(this.callId)}/pass`, { sample_rate: parts.rate });
        if (this.#parts === parts) parts.socket = this.#connect(url);
        return;
      } catch (error) {
        failure = error;
        // Only a gateway that is away may be back at the next try.
        if (error.status > 0 && error.status < 500) break;
        await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
      }
    }
    if (this.#parts === parts) this.#end("", failure);
  }

  #send(frame, rate) {
    this.micLevel = rms(Float32Array.from(new Int16Array(frame), (sample) => sample / 32768));
    const socket = this.#parts?.socket;
    if (this.state !== "on" || socket?.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > MOST_UNSENT_S * rate * 2) this.dropped += 1;
    else socket.send(frame);
  }

  #hear(data) {
    if (typeof data !== "string") return;
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      this.#happened("The streamer sent something that is no JSON.");
      return;
    }
    if (message.type === "streamAudio") this.#parts.speaker.play(message.data.audioData, message.data.sampleRate);
    else if (message.event === "break") this.#parts.speaker.stop();
    else if (message.event === "play") this.#happened(`The bot plays the file ${message.file} (not played here).`);
    else if (message.event === "digits") this.#happened(`The bot presses ${message.data}.`);
    else if (message.event === "transfer") {
      this.#happened(`The bot transfers the call to ${message.data}.`);
      this.#end(`Ringover would connect the caller to ${message.data} now.`);
    } else if (message.event === "error") this.#happened(`The streamer says: ${message.message}`);
  }

  #end(ending, error = null) {
    const { context, speaker, microphone, socket } = this.#parts;
    this.#parts = null;
    speaker.stop();
    microphone?.close();
    socket?.close(1000);
    context.close();
    if (this.callId) {
      endPhoneCall(this.callId).catch((failure) => this.#happened(`The end of the call could not be told: ${failure.message}`));
    }
    Object.assign(this, { ending, problem: error, micLevel: 0 });
    this.#become("ended");
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }

  #happened(what) {
    this.dispatchEvent(new CustomEvent("happened", { detail: what }));
  }
}

export const phoneCall = new PhoneCall();

// A closed window says nothing more: the call ends with it.
window.addEventListener("pagehide", () => phoneCall.hangUp());
