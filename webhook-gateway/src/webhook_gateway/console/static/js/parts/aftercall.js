// What Ringover sent after the call: its recording, its transcription, its summary, and whatever else it told.

import { h, unseen } from "./dom.js";
import { dayAndTime, words } from "./format.js";

const NAMES = {
  record_available: "Ringover's recording", voicemail_available: "Ringover's voicemail",
  transcription_available: "Ringover's transcription", summary_available: "Ringover's summary",
};
/** Told of every call, and shown on this page already. */
const KNOWN = new Set(["call_id", "channel_id", "from_number", "to_number", "direction"]);

/** A section for the record's `aftercall` events; nothing when there are none. */
export function afterCall(events) {
  if (!events.length) return null;
  return h("section", { class: "card", "aria-label": "After the call" }, h("h2", {}, "After the call"),
    events.map(({ event, at, data }) => h("div", { class: "after" },
      h("h3", {}, NAMES[event] ?? `Ringover: ${words(event)}`, " ", h("time", { class: "hint" }, dayAndTime(at))),
      values(data ?? {}))));
}

function values(data) {
  const told = Object.entries(data).filter(([name, value]) => value !== null && value !== "" && !KNOWN.has(name));
  if (!told.length) return h("p", { class: "empty" }, "It said nothing more.");
  return h("dl", { class: "told-values" }, told.map(([name, value]) =>
    h("div", {}, h("dt", {}, words(name)), h("dd", {}, shown(value)))));
}

// What comes from outside is text, or a link to a page of others that learns nothing of this one.
function shown(value) {
  if (typeof value === "string" && isHttps(value)) {
    return h("a", { href: value, rel: "external noopener noreferrer", target: "_blank" },
      value, h("span", { "aria-hidden": "true" }, " ↗"), unseen(" (external, opens a new tab)"));
  }
  return typeof value === "object" ? h("pre", {}, JSON.stringify(value, null, 2)) : String(value);
}

function isHttps(text) {
  try {
    const url = new URL(text);
    return url.protocol === "https:" && !url.username && !url.password;
  } catch {
    return false;
  }
}
