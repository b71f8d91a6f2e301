// Past calls: search, and one page of results at a time. The search is in the address, so that it can be kept.

import { get } from "../parts/api.js";
import { field, fill, h, scrolled } from "../parts/dom.js";
import { dayAndTime, duration, phone, words } from "../parts/format.js";
import { Notice } from "../parts/notices.js";

const PER_PAGE = 25;
const FIELDS = ["number", "agent", "outcome", "from", "to"];
const OUTCOMES = ["completed", "transferred", "caller_left", "bot_ended", "failed", "no_worker"];

export function showCalls(page, { query }) {
  const form = searchForm(query);
  const results = h("div", { class: "results", "aria-live": "polite", "aria-busy": "true" });
  const notice = new Notice();
  fill(page, form, notice.el, results);
  let shown = true;
  const asked = new URLSearchParams([...query].filter(([name, value]) => value && [...FIELDS, "before"].includes(name)));
  asked.set("limit", String(PER_PAGE));
  // Days are this browser's days.
  if (asked.has("from")) asked.set("from", midnight(asked.get("from"), 0));
  if (asked.has("to")) asked.set("to", midnight(asked.get("to"), 1));
  get(`/calls?${asked}`).then(
    (found) => {
      if (!shown) return;
      fill(results, ...list(found, query));
      if (found.problem) notice.fail(new Error(`Some calls may be missing: ${found.problem}.`));
    },
    (error) => shown && notice.fail(error),
  ).finally(() => results.removeAttribute("aria-busy"));
  return () => {
    shown = false;
  };
}

/** The beginning of a day (2026-01-31), or of a later one, here, as a moment. */
function midnight(day, later) {
  const [year, month, date] = day.split("-").map(Number);
  const moment = new Date(year, month - 1, date + later);
  return Number.isNaN(moment.getTime()) ? day : moment.toISOString();
}

function searchForm(query) {
  const input = (name, attributes) => h("input", { name, value: query.get(name) ?? "", ...attributes });
  const outcome = h("select", { name: "outcome" }, h("option", { value: "" }, "any"), OUTCOMES.map((name) =>
    h("option", { value: name, selected: query.get("outcome") === name }, words(name))));
  const form = h("form", { class: "search", role: "search" },
    field("Number", input("number", { inputmode: "tel", placeholder: "+33…" })),
    field("From day", input("from", { type: "date" })),
    field("To day", input("to", { type: "date" })),
    field("Agent", input("agent", { list: "agent-names" })),
    h("datalist", { id: "agent-names" }),
    field("Outcome", outcome),
    h("button", { type: "submit", class: "primary" }, "Search"),
    h("a", { href: "#/calls", class: "button quiet" }, "Clear"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    location.hash = `#/calls?${wanted}`;
  });
  // Suggestions only: without them the field still takes any name.
  get("/agents").then(({ agents }) => {
    fill(form.querySelector("datalist"), agents.map(({ name }) => h("option", { value: name })));
  }, () => {});
  return form;
}

function list({ calls, next }, query) {
  if (!calls.length) return [h("p", { class: "empty" }, "No call matches.")];
  const columns = ["When", "From", "To", "Agent", "Length", "Outcome", "Turns", "Summary"];
  const table = h("table", { class: "calls" },
    h("caption", { class: "unseen" }, "Past calls, newest first"),
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, calls.map((call) => row(call, columns))));
  return [h("div", scrolled("Past calls"), table), paging(next, query)];
}

function row(call, columns) {
  const when = h("a", { href: `#/calls/${encodeURIComponent(call.call_id)}` }, dayAndTime(call.started_at) || call.call_id);
  // The other outcomes say it themselves.
  const ended = call.ended_by && ["completed", "failed"].includes(call.outcome) ? ` (by ${call.ended_by})` : "";
  const cells = [
    when, phone(call.from_number), phone(call.to_number), call.agent ?? "", duration(call.duration_s),
    words(call.outcome) + ended, call.turns, call.summary ?? "",
  ];
  return h("tr", {}, cells.map((cell, at) => h(at ? "td" : "th", { "data-name": columns[at], scope: at ? null : "row" }, cell)));
}

function paging(next, query) {
  const link = (name, cursor) => {
    const there = new URLSearchParams(query);
    if (cursor) there.set("before", cursor);
    else there.delete("before");
    return h("a", { class: "button", href: `#/calls?${there}` }, name);
  };
  return h("nav", { class: "row", "aria-label": "Pages" },
    query.has("before") ? link("Newest", null) : null, next ? link("Older", next) : null);
}
