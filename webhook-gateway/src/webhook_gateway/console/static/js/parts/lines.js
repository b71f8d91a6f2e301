// The single lines of a transcript, and what stands in them.

import { h, unseen } from "./dom.js";
import { phone } from "./format.js";

const SHORT = 60;

/** One line: who, what, and beside it the time or a button (`aside`); `.below` takes what belongs to it later. */
export function line(kind, who, body, aside) {
  return h("div", { class: `line ${kind}` },
    h("span", { class: "who" }, who),
    h("div", { class: "what" }, body, h("div", { class: "below" })),
    h("span", { class: "when" }, aside));
}

/**
 * A sentence of the bot: what was heard as it is, what was not heard struck out, what nothing is known of yet faint.
 * `heard` is {heard_text, interrupted}, or absent.
 */
export function botWords(text, heard = null) {
  if (!heard) return h("span", { class: "unheard-yet" }, text, unseen(" (not heard yet)"));
  if (!heard.interrupted) return h("span", { class: "heard" }, text);
  const said = heard.heard_text ?? "";
  const rest = text.startsWith(said) ? text.slice(said.length) : ` ${text}`;
  return h("span", {},
    said ? h("span", { class: "heard" }, said) : null,
    rest ? h("del", { class: "unheard" }, unseen(" (not heard: "), rest, unseen(")")) : null,
    " ", h("span", { class: "tag" }, said ? "cut off" : "not heard"));
}

/** A tool call: {name, arguments, state, result}; state is asked, done or failed. */
export function toolBody({ name, arguments: args, state, result }) {
  const status = { asked: "running …", done: "done", failed: "failed" }[state] ?? state;
  return h("div", { class: "tool-call" },
    h("span", {}, h("code", {}, name), " ", h("span", { class: state === "failed" ? "tag bad" : "tag" }, status)),
    h("pre", {}, unseen("with "), pretty(args)),
    result ? h("pre", { class: "result" }, unseen("gave "), pretty(result)) : null);
}

/** Something done on the line: {kind, argument, state}. */
export function actionText({ kind, argument, state }) {
  const what = {
    transfer: `Transfer to ${phone(argument)}`, digits: `Press ${argument}`, play: `Play ${argument}`, hangup: "Hang up",
  }[kind] ?? `${kind} ${argument}`;
  return `${what}: ${state}`;
}

/** JSON indented, unless it fits a line; what is none as it is. */
function pretty(text) {
  try {
    const value = JSON.parse(text);
    const short = JSON.stringify(value);
    return short.length <= SHORT ? short : JSON.stringify(value, null, 2);
  } catch {
    return String(text);
  }
}
