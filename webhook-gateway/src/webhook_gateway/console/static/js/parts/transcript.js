// A transcript as it grows: takes entries (those of callbus.transcript, each with `kind` and `id`), shows lines.

import { h } from "./dom.js";
import { clock } from "./format.js";
import { latencyBar } from "./latency.js";
import { actionText, botWords, line, toolBody } from "./lines.js";
import { noteKind } from "./notes.js";

/** `when(at)` makes what stands beside a line: the time, unless told otherwise. */
export class Transcript {
  constructor({ label, live = true, when = (at) => h("time", {}, clock(at)) }) {
    this.el = h("div", {
      class: "transcript", role: "log", "aria-live": live ? "polite" : "off", "aria-relevant": "additions",
      "aria-label": label, tabindex: "0",
    });
    this.when = when;
    this.onTiming = () => {};
    this.seen = new Set();
    this.sentences = new Map();
    this.turns = new Map();
    this.tools = new Map();
    this.actions = new Map();
    this.claimed = false;
  }

  get empty() {
    return this.el.childElementCount === 0;
  }

  /** Forget everything: the entries come again from the first. */
  clear() {
    for (const known of [this.seen, this.sentences, this.turns, this.tools, this.actions]) known.clear();
    this.claimed = false;
    this.el.replaceChildren();
  }

  /** Show one entry; one that was shown before changes nothing. */
  add(entry) {
    if (entry.id !== undefined) {
      if (this.seen.has(entry.id)) return;
      this.seen.add(entry.id);
    }
    const following = this.el.scrollHeight - this.el.scrollTop - this.el.clientHeight < 40;
    if (entry.unreadable) this.#append("note", "note", `An entry could not be read: ${entry.unreadable}`, entry.at);
    // An action's own kind (transfer, play, …) stands where the other entries have theirs.
    else KINDS[entry.action_id === undefined ? entry.kind : "action"]?.call(this, entry);
    if (following) this.el.scrollTop = this.el.scrollHeight;
  }

  #append(kind, who, body, at) {
    const made = line(kind, who, body, Number.isFinite(at) ? this.when(at) : null);
    this.el.append(made);
    return made;
  }

  _claimed(entry) {
    // A second claim is a takeover: the numbers of turns go on, nothing is forgotten.
    const [kind, who, what] = this.claimed
      ? ["note fallback", "fallback", "took over the call"] : ["note", "system", "took the call"];
    this.claimed = true;
    this.#append(kind, who, `Worker ${entry.worker} ${what} for ${entry.agent}.`, entry.at);
  }

  _caller(entry) {
    this.turns.set(entry.turn, this.#append("caller", "Caller", entry.text, entry.started_at ?? entry.at));
  }

  _pressed(entry) {
    this.#append("caller", "Caller", h("span", {}, "pressed ", h("kbd", {}, entry.digits)), entry.at);
  }

  _bot(entry) {
    const body = h("span", {}, botWords(entry.text));
    const shown = this.#append("bot", entry.by_operator ? "Operator" : "Bot", body, entry.at);
    this.sentences.set(entry.segment, { entry, body, shown });
  }

  _heard(entry) {
    const sentence = this.sentences.get(entry.segment);
    if (!sentence) return;
    sentence.body.replaceChildren(botWords(sentence.entry.text, entry));
    if (Number.isFinite(entry.started_at)) {
      sentence.shown.querySelector(".when").replaceChildren(this.when(entry.started_at));
    }
  }

  _timing(entry) {
    const turn = this.turns.get(entry.turn);
    const bar = latencyBar(entry);
    if (turn) turn.querySelector(".below").replaceChildren(bar);
    else this.#append("note", "latency", bar, entry.at);
    this.onTiming(entry);
  }

  _tool(entry) {
    const before = this.tools.get(entry.tool_call_id);
    if (before) before.replaceChildren(toolBody({ ...entry }));
    else {
      const body = h("div", {}, toolBody(entry));
      this.tools.set(entry.tool_call_id, body);
      this.#append("tool", "Tool", body, entry.at);
    }
  }

  _action(entry) {
    const before = this.actions.get(entry.action_id);
    if (before) before.textContent = actionText(entry);
    else {
      const body = h("span", {}, actionText(entry));
      this.actions.set(entry.action_id, body);
      this.#append("tool", "On the line", body, entry.at);
    }
  }

  _machine(entry) {
    this.#append("note", "system", `An answering machine is on the line (${entry.sign}).`, entry.at);
  }

  _note(entry) {
    const { kind, name } = noteKind(entry.note);
    this.#append(`note ${kind}`, name, entry.note, entry.at);
  }

  _finished(entry) {
    const why = entry.reason ? ` (${entry.reason})` : "";
    this.#append("note", "system", `The conversation is over: ${entry.outcome.replaceAll("_", " ")}${why}.`, entry.at);
  }
}

const KINDS = Object.fromEntries(
  ["claimed", "caller", "pressed", "bot", "heard", "timing", "tool", "action", "machine", "note", "finished"]
    .map((kind) => [kind, Transcript.prototype[`_${kind}`]]),
);
