// How the system is: what is still missing to take calls, what runs, the providers, the webhooks, dead deliveries.

import { get, post } from "../parts/api.js";
import { facts, fill, h, scrolled } from "../parts/dom.js";
import { clock, dayAndTime, duration, roughly, words } from "../parts/format.js";
import { Notice } from "../parts/notices.js";

const EVERY_MS = 5000;
/** A circuit's states in words: open means that nothing goes through it. */
const STATES = { closed: "closed: in use", open: "open: kept out", "half-open": "half-open: being tried" };

export function showSystem(page) {
  const notice = new Notice();
  const state = h("div", { "aria-busy": "true" });
  const dead = h("section", { class: "card" });
  fill(page, notice.el, state, dead);
  let timer = null;
  let shown = true;

  async function look() {
    try {
      const system = await get("/system");
      if (!shown) return;
      notice.clear();
      refill(state, overview(system.status), checklist(system.checklist), services(system.status),
        providers(system.providers ?? [], system.status.workers ?? []), webhooks(system.webhooks));
    } catch (error) {
      notice.fail(error);
    }
    state.removeAttribute("aria-busy");
    if (shown) timer = setTimeout(look, EVERY_MS);
  }

  look();
  deadDeliveries(dead);
  return () => {
    shown = false;
    clearTimeout(timer);
  };
}

/** `fill`, and whoever was reading a table by the keyboard stays in it. */
function refill(element, ...children) {
  const name = document.activeElement?.closest(".wide")?.getAttribute("aria-label");
  const places = new Map([...element.querySelectorAll(".wide")].map((table) => [table.getAttribute("aria-label"), table.scrollLeft]));
  fill(element, ...children);
  for (const table of element.querySelectorAll(".wide")) {
    table.scrollLeft = places.get(table.getAttribute("aria-label")) ?? 0;
    if (name === table.getAttribute("aria-label")) table.focus({ preventScroll: true });
  }
}

function overview(status) {
  return h("section", { class: "card" },
    h("h2", {}, "Health ", h("span", { class: `tag ${status.status === "ok" ? "good" : "bad"}` }, status.status)),
    status.problems?.length ? h("ul", { class: "problems" }, status.problems.map((text) => h("li", {}, text))) : null,
    facts([
      ["Active calls", status.active_calls],
      ["Redis", status.redis?.reachable ? `reachable, ${status.redis.ping_ms} ms` : "not reachable"],
      ["Gateway", `${status.gateway?.id ?? ""}, up ${roughly(status.gateway?.uptime_s ?? 0)}`],
    ]));
}

function checklist(items) {
  const missing = items.filter(({ ok }) => !ok).length;
  return h("section", { class: "card" },
    h("h2", {}, "Setup ", h("span", { class: `tag ${missing ? "bad" : "good"}` }, missing ? `${missing} missing` : "complete")),
    h("ul", { class: "checklist" }, items.map(({ item, ok, hint }) =>
      h("li", { class: ok ? "ok" : "missing" },
        h("span", { class: "mark", role: "img", "aria-label": ok ? "done" : "missing" }, ok ? "✓" : "✗"),
        h("span", {}, h("strong", {}, item), !ok && hint ? h("span", { class: "hint" }, hint) : null)))));
}

function services(status) {
  const rows = [
    ...(status.streamers ?? []).map((one) => ["streamer", one.id, `${one.sessions ?? 0} of ${one.capacity ?? "?"}`, one]),
    ...(status.workers ?? []).map((one) => ["worker", one.id, `${one.calls ?? 0} of ${one.capacity ?? "?"}`, one]),
  ];
  return section("Services", ["Kind", "Id", "Calls", "State", "Last heard"], rows.map(([kind, id, calls, one]) =>
    [kind, id, calls, one.draining ? "leaving" : "running", clock(one.at)]), "No streamer and no worker runs.");
}

/** The workers' providers: each seam's, in the order in which they are tried. */
function providers(list, workers) {
  const rows = list.map(({ worker, seam, provider, state, last_error: error, last_error_at: at }) => {
    const known = workers.find(({ id }) => id === worker)?.provider_state?.[seam]?.[provider];
    const wait = state === "open" && known?.out_for_s ? ` for ${duration(known.out_for_s)} more` : "";
    const tag = h("span", { class: `tag ${state === "closed" ? "good" : "bad"}` }, STATES[state] ?? words(state), wait);
    const failed = error ? h("span", {}, error, " ", h("time", { class: "hint" }, dayAndTime(at))) : "none";
    return [worker, seam.toUpperCase(), provider, tag, failed];
  });
  return section("Providers", ["Worker", "For", "Provider", "Circuit", "Last error"], rows, "No worker tells of its providers.");
}

function webhooks({ received, refused, refused_total: total, since, shared }) {
  const rows = refused.map(({ at, reason, times }) => [dayAndTime(at), reason, times]);
  const made = section("Webhooks", ["Last refused at", "Reason", "Times"], rows, "None was refused.");
  const whose = shared ? "by all gateways" : "by this gateway, as far as it knows: Redis is away";
  made.querySelector("h2").after(h("p", {}, `${received} received and ${total} refused since ${dayAndTime(since)}, ${whose}.`));
  return made;
}

function section(title, columns, rows, none) {
  return h("section", { class: "card" }, h("h2", {}, title), rows.length ? h("div", scrolled(title), h("table", {},
    h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => h("td", { "data-name": columns[at] }, cell)))))))
    : h("p", { class: "empty" }, none));
}

async function deadDeliveries(place) {
  const notice = new Notice();
  const heading = h("h2", { tabindex: "-1" }, "Dead deliveries");
  let found = [];
  fill(place, heading, notice.el);
  try {
    found = (await get("/jobs/dead")).deliveries;
  } catch (error) {
    notice.fail(error);
    return;
  }
  const items = found.map((delivery) => {
    const again = h("button", { type: "button" }, "Deliver again");
    const item = h("li", { class: "delivery" },
      facts([
        ["Call", h("a", { href: `#/calls/${encodeURIComponent(delivery.call_id)}` }, delivery.call_id)],
        ["To", delivery.url], ["State", delivery.state === "trying" ? "being tried again" : "given up"],
        ["Next try", typeof delivery.next_at === "number" ? dayAndTime(delivery.next_at) : null],
        ["Last tried", typeof delivery.at === "number" ? dayAndTime(delivery.at) : delivery.at],
        ["Attempts", delivery.attempts], ["Error", words(delivery.error)],
      ]), again);
    again.addEventListener("click", async () => {
      const replay = () => post(`/jobs/dead/${encodeURIComponent(delivery.id)}/replay`);
      if (!await notice.during(again, replay, "It is being delivered again.")) return;
      item.remove();
      // The button that had the focus is gone.
      heading.focus();
    });
    return item;
  });
  if (items.length) notice.el.after(h("ul", { class: "deliveries" }, items));
  else notice.say("None: everything was delivered.");
}
