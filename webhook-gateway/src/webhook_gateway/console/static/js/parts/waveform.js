// The waveform of both channels: the caller above the line, the bot below. A click or the arrow keys choose where to hear.

import { h } from "./dom.js";
import { duration } from "./format.js";
import { hear } from "./hear.js";

const HEIGHT = 120;
const STEP_S = 5;

export class Waveform {
  /** `data`: {ms_per_point, caller: [0..1], bot: [0..1]}; `sound`: the <audio>; `marks`: [{second, name}]; `notice`: tells what fails. */
  constructor(data, sound, marks, notice) {
    this.data = data;
    this.sound = sound;
    this.notice = notice;
    this.marks = marks;
    this.seconds = (Math.max(data.caller.length, data.bot.length) * data.ms_per_point) / 1000;
    this.el = h("canvas", {
      class: "waveform", role: "slider", tabindex: "0", "aria-label": "Place in the recording",
      "aria-valuemin": "0", "aria-valuemax": String(Math.round(this.seconds)),
      on: { click: (event) => this.#click(event), keydown: (event) => this.#key(event) },
    });
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.#draw();
    this.resized = new ResizeObserver(this.redraw);
    this.resized.observe(this.el);
    this.scheme.addEventListener("change", this.redraw);
    for (const event of ["timeupdate", "seeked"]) sound.addEventListener(event, this.redraw);
  }

  stop() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.redraw);
    this.sound.pause();
  }

  #click(event) {
    const box = this.el.getBoundingClientRect();
    hear(this.sound, this.notice, this.#within(((event.clientX - box.left) / box.width) * this.seconds));
  }

  #key(event) {
    const now = this.sound.currentTime;
    const to = {
      ArrowLeft: now - STEP_S, ArrowRight: now + STEP_S, ArrowDown: now - STEP_S, ArrowUp: now + STEP_S,
      Home: 0, End: this.seconds,
    }[event.key];
    if (to !== undefined) {
      this.sound.currentTime = this.#within(to);
      // A sound that is not loaded yet tells nobody.
      this.redraw();
    } else if (event.key === " " || event.key === "Enter") this.sound.paused ? hear(this.sound, this.notice) : this.sound.pause();
    else return;
    event.preventDefault();
  }

  #within(second) {
    return Math.min(this.seconds, Math.max(0, second));
  }

  #draw() {
    const { width } = this.el.getBoundingClientRect();
    const sharp = devicePixelRatio || 1;
    this.el.width = Math.max(1, Math.round(width * sharp));
    this.el.height = HEIGHT * sharp;
    const paint = this.el.getContext("2d");
    paint.scale(sharp, sharp);
    const style = getComputedStyle(this.el);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const middle = HEIGHT / 2;
    paint.fillStyle = colour("line");
    paint.fillRect(0, middle, width, 1);
    this.#channel(paint, this.data.caller, colour("caller"), width, -1);
    this.#channel(paint, this.data.bot, colour("bot"), width, 1);
    this.#marks(paint, colour("faint"), width);
    const at = (this.sound.currentTime / this.seconds) * width;
    paint.fillStyle = colour("text");
    paint.fillRect(Math.min(at, width - 2), 0, 2, HEIGHT);
    this.el.setAttribute("aria-valuenow", String(Math.round(this.sound.currentTime)));
    this.el.setAttribute("aria-valuetext", `${duration(this.sound.currentTime)} of ${duration(this.seconds)}`);
  }

  /** One channel, a bar a point or, where they are narrower than a pixel, the loudest of each pixel's points. */
  #channel(paint, points, colour, width, side) {
    const middle = HEIGHT / 2;
    const whole = (this.seconds * 1000) / this.data.ms_per_point;
    paint.fillStyle = colour;
    const columns = Math.min(whole, Math.floor(width));
    const each = whole / columns;
    for (let column = 0; column < columns; column += 1) {
      const from = Math.floor(column * each);
      const loudest = Math.max(0, ...points.slice(from, Math.max(from + 1, Math.floor((column + 1) * each))));
      const tall = Math.min(1, Math.sqrt(loudest)) * (middle - 4);
      const thick = Math.max(1, width / columns - 0.5);
      paint.fillRect((column / columns) * width, side < 0 ? middle - tall : middle + 1, thick, tall);
    }
  }

  #marks(paint, colour, width) {
    paint.fillStyle = colour;
    paint.font = "11px system-ui, sans-serif";
    for (const { second, name } of this.marks) {
      const at = (second / this.seconds) * width;
      if (!(at >= 0 && at <= width)) continue;
      paint.fillRect(at, 0, 1, HEIGHT);
      paint.fillText(name, at + 3, 10);
    }
  }
}
