// One past call: what was said and heard, how long each answer took, and its sound.

import { afterCall } from "../parts/aftercall.js";
import { address, get } from "../parts/api.js";
import { costs } from "../parts/costs.js";
import { facts, fill, h } from "../parts/dom.js";
import { clock, dayAndTime, duration, phone, words } from "../parts/format.js";
import { hear } from "../parts/hear.js";
import { latencyLegend } from "../parts/latency.js";
import { Notice } from "../parts/notices.js";
import { entriesOf } from "../parts/record.js";
import { Transcript } from "../parts/transcript.js";
import { Waveform } from "../parts/waveform.js";

export function showCall(page, { id, heading }) {
  const notice = new Notice();
  const body = h("div", { "aria-busy": "true" });
  fill(page, h("p", {}, h("a", { href: "#/calls" }, "← Past calls")), notice.el, body);
  let waveform = null;
  let shown = true;
  get(`/calls/${encodeURIComponent(id)}`).then((record) => {
    if (!shown) return;
    heading.textContent = `Call from ${phone(record.from_number)}`;
    waveform = whole(body, record, id, notice);
  }, (error) => shown && notice.fail(error)).finally(() => body.removeAttribute("aria-busy"));
  return () => {
    shown = false;
    waveform?.stop();
  };
}

/** Fills the page from the record; the waveform, if there is one. */
function whole(body, record, id, notice) {
  const path = `/calls/${encodeURIComponent(id)}`;
  const began = record.recording?.started_at ?? record.times?.media_at;
  // Nothing of it is fetched before somebody wants to hear it: it may be long, and far away.
  const sound = record.recording
    ? h("audio", { controls: true, preload: "none", src: address(`${path}/audio`), "aria-label": "Recording of the call" })
    : null;
  const waveform = sound && record.waveform ? new Waveform(record.waveform, sound, marks(record, began), notice) : null;
  const hearButton = (at) => {
    const second = at - began;
    if (!sound || !Number.isFinite(second)) return h("time", {}, clock(at));
    const name = duration(second);
    const from = () => hear(sound, notice, Math.max(0, second));
    return h("button", { type: "button", class: "quiet hear", "aria-label": `Hear from ${name}`, on: { click: from } }, `▶ ${name}`);
  };
  const transcript = new Transcript({ label: "Transcript", live: false, when: hearButton });
  entriesOf(record).forEach((entry) => transcript.add(entry));
  fill(body,
    summary(record),
    sound ? h("section", { class: "sound", "aria-label": "Recording" }, waveform?.el, sound) : h("p", { class: "hint" }, "This call was not recorded."),
    h("div", { class: "row" },
      sound ? h("a", { class: "button", href: address(`${path}/audio`), download: `${id}.wav` }, "Download WAV") : null,
      h("a", { class: "button", href: address(`${path}/record`), download: `${id}.json` }, "Download JSON")),
    h("h2", {}, "What was said"),
    transcript.empty ? h("p", { class: "empty" }, "Nothing was said.") : transcript.el,
    latencyLegend(),
    afterCall(record.aftercall ?? []),
    costs(record.costs ?? null),
    record.deliveries?.length ? deliveries(record.deliveries) : null);
  return waveform;
}

function summary(record) {
  const workers = (record.claims ?? []).map((claim) => claim.worker).join(", then ");
  const problems = [...(record.unreadable ?? []), ...(record.recording?.notes ?? [])];
  return h("section", { class: "card" },
    record.summary ? h("p", { class: "told" }, record.summary) : null,
    facts([
      ["Call", record.call_id], ["Began", dayAndTime(record.times?.media_at ?? record.times?.first_seen)],
      ["Length", duration(record.duration_s)], ["From", phone(record.from_number)], ["To", phone(record.to_number)],
      ["Agent", record.agent], ["Worker", workers],
      ["Outcome", words(record.outcome) + (record.reason ? ` (${record.reason})` : "")], ["Ended by", record.ended_by],
      ["Answering machine", record.machine], ["Labels", (record.labels ?? []).map(words).join(", ")],
      ["The caller's wish", record.caller_wish],
    ]),
    problems.length ? h("ul", { class: "problems", "aria-label": "Problems" }, problems.map((text) => h("li", {}, text))) : null);
}

/** Where turns begin on the waveform: [{second, name}]. */
function marks(record, began) {
  return record.turns.filter((turn) => turn.caller)
    .map((turn) => ({ second: turn.caller.started_at - began, name: String(turn.turn) }));
}

// What a delivery says of itself is for the jobs to decide; figures and words are shown as they come.
function deliveries(list) {
  return h("section", {}, h("h2", {}, "Deliveries"), list.map((delivery) => h("div", { class: "card" },
    facts(Object.entries(delivery).filter(([, value]) => typeof value !== "object").map(([name, value]) =>
      [words(name), name.endsWith("at") && typeof value === "number" ? dayAndTime(value) : String(value)])))));
}
