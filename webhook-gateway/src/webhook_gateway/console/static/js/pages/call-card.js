// One active call: its state, its transcript as it grows, and what can be done to it.

import { post } from "../parts/api.js";
import { facts, field, fill, freshId, h } from "../parts/dom.js";
import { duration, ms, phone } from "../parts/format.js";
import { Notice } from "../parts/notices.js";
import { Transcript } from "../parts/transcript.js";

export class CallCard {
  /** `onWhole`: wants the transcript from the call's beginning. `begun`: something was said before this page looked. */
  constructor(call, { onWhole, begun }) {
    this.callId = call.call_id;
    this.state = h("span", { class: "state" });
    this.lasts = h("span", { class: "lasts" });
    this.parties = h("h2", { id: freshId("call") });
    this.facts = h("div");
    this.notice = new Notice();
    this.transcript = new Transcript({ label: `Transcript of the call from ${phone(call.from_number)}` });
    // The general stream tells only what happens from now on.
    this.earlier = begun
      ? h("button", { type: "button", class: "quiet", on: { click: onWhole } }, "Show from the beginning") : null;
    this.mute = h("button", { type: "button", on: { click: () => this.#takeOver() } });
    this.el = h("article", { class: "card call", "aria-labelledby": this.parties.id, "data-call": this.callId },
      h("header", {}, this.state, this.parties, this.lasts),
      this.facts,
      this.earlier,
      this.transcript.el,
      this.#controls(),
      this.notice.el);
    this.update(call);
  }

  update(call) {
    this.since = call.since ?? NaN;
    this.tick();
    this.muted = call.muted;
    this.state.textContent = call.state;
    this.state.className = `state state-${call.state}`;
    fill(this.parties, phone(call.from_number), h("span", { "aria-label": "to" }, " → "), phone(call.to_number));
    fill(this.facts, facts([
      ["Agent", call.agent], ["Turns", call.turns], ["Last answer", ms(call.last_ms)],
      ["Worker", call.worker], ["Streamer", call.streamer],
    ]));
    this.mute.textContent = call.muted ? "Give back to the bot" : "Take over (mute the bot)";
    this.mute.setAttribute("aria-pressed", String(call.muted));
    this.el.classList.toggle("muted", call.muted);
  }

  /** Show how long the call lasts by now. */
  tick() {
    this.lasts.textContent = duration(Date.now() / 1000 - this.since);
  }

  /** The transcript is whole from here on: nothing earlier is missing. */
  whole() {
    this.earlier?.remove();
    this.earlier = null;
  }

  #controls() {
    const hangUp = h("button", { type: "button", class: "danger" }, "Hang up");
    hangUp.addEventListener("click", () => this.#hangUp(hangUp));
    return h("div", { class: "controls" },
      this.#form("Say a line", "say", "Say", { maxlength: "500" }, (text) => this.#ask("say", { text })),
      this.#form("Transfer to", "transfer", "Transfer", { inputmode: "tel", placeholder: "+33…" },
        (number) => this.#ask("transfer", { number })),
      h("div", { class: "row" }, this.mute, hangUp));
  }

  #form(label, name, verb, attributes, ask) {
    const input = h("input", { name, required: true, autocomplete: "off", ...attributes });
    const button = h("button", { type: "submit" }, verb);
    const form = h("form", { class: "inline" }, field(label, input), button);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await this.notice.during(button, () => ask(input.value.trim()), "Asked for.")) input.value = "";
    });
    return form;
  }

  // Asked twice: a caller that is cut off by a slip of the finger can't be brought back.
  #hangUp(button) {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.textContent = "Really hang up?";
      const back = () => {
        button.classList.remove("sure");
        button.textContent = "Hang up";
      };
      button.addEventListener("blur", back, { once: true });
      return;
    }
    this.notice.during(button, () => this.#ask("hang-up", {}), "Hanging up …");
  }

  #takeOver() {
    const on = !this.muted;
    const done = on ? "The bot is muted: it listens and writes down." : "The bot has the call again.";
    this.notice.during(this.mute, () => this.#ask("mute", { on }), done);
  }

  #ask(what, body) {
    return post(`/calls/${encodeURIComponent(this.callId)}/${what}`, body);
  }
}
