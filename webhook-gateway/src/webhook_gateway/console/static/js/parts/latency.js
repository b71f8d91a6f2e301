// Where the time of one answer went, as a small stacked bar: its stages side by side, and the whole as a number.

import { h } from "./dom.js";
import { ms } from "./format.js";

const STAGES = {
  stt_final: "words understood",
  turn_end: "turn taken to be over",
  llm_first_token: "model's first word",
  first_sentence: "first sentence",
  tts_first_byte: "first speech",
  playing: "on the line",
};
const SHORTEST_SCALE_MS = 2000;

/** The stages as lengths, in the order of time: [{stage, name, from, length}], in ms. */
export function lengths(stages) {
  const marks = Object.entries(stages ?? {}).filter(([, at]) => Number.isFinite(at)).sort((a, b) => a[1] - b[1]);
  let last = 0;
  return marks.map(([stage, at]) => {
    const part = { stage, name: STAGES[stage] ?? stage.replaceAll("_", " "), from: last, length: Math.max(0, at - last) };
    last = Math.max(last, at);
    return part;
  });
}

/** The bar of one turn's timing: {stages, voice_to_voice_ms, hops}. */
export function latencyBar(timing) {
  const parts = lengths(timing.stages);
  const end = parts.reduce((most, part) => Math.max(most, part.from + part.length), 0);
  const total = timing.voice_to_voice_ms ?? end;
  const scale = Math.max(SHORTEST_SCALE_MS, end);
  const hops = Object.entries(timing.hops ?? {}).map(([way, value]) => `through Redis ${way} ${ms(value)}`);
  const spoken = [...parts.map((part) => `${part.name} ${ms(part.length)}`), ...hops].join(", ");
  const bar = h("span", { class: "bar", role: "img", "aria-label": `Answered after ${ms(total)}: ${spoken}`, title: spoken });
  for (const part of parts) {
    const piece = h("span", { class: `stage stage-${known(part.stage)}` });
    piece.style.width = `${(part.length / scale) * 100}%`;
    bar.append(piece);
  }
  return h("span", { class: "latency" }, bar, h("span", { class: "total" }, ms(total)));
}

/** What the colours mean. */
export function latencyLegend() {
  const names = Object.entries(STAGES).map(([stage, name]) =>
    h("li", {}, h("span", { class: `swatch stage-${stage}`, "aria-hidden": "true" }), name));
  return h("ul", { class: "legend", "aria-label": "Stages of an answer, in the order of time" }, names);
}

function known(stage) {
  return stage in STAGES ? stage : "other";
}
