// How the system is: what is still missing to take calls, what runs, the providers, the webhooks, dead deliveries.

import { get, post } from "../parts/api.js";
import { facts, fill, h } from "../parts/dom.js";
import { clock, dayAndTime, duration, roughly, words } from "../parts/format.js";
import { Notice } from "../parts/notices.js";

const EVERY_MS = 5000;

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
      fill(state, overview(system.status), checklist(system.checklist), services(system.status),
        providers(system.status.workers ?? []), webhooks(system.webhooks));
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
function providers(workers) {
  const rows = workers.flatMap((worker) => Object.entries(worker.provider_state ?? {}).flatMap(([seam, known]) =>
    Object.entries(known ?? {}).map(([name, one]) => {
      const out = one.state === "closed" ? "in use" : `kept out (${one.state})`;
      const wait = one.out_for_s ? `for ${duration(one.out_for_s)} more` : "";
      const tag = h("span", { class: `tag ${one.state === "closed" ? "good" : "bad"}` }, out);
      return [worker.id, seam.toUpperCase(), name, h("span", {}, tag, " ", [wait, one.last_error].filter(Boolean).join(": "))];
    })));
  return section("Providers", ["Worker", "For", "Provider", "State"], rows, "No worker tells of its providers.");
}

function webhooks({ received, refused }) {
  const rows = [...refused].sort((a, b) => b.at - a.at).map(({ at, reason }) => [dayAndTime(at), reason]);
  const made = section("Webhooks", ["Refused at", "Reason"], rows, "None was refused.");
  made.querySelector("h2").after(h("p", {}, `${received} received; ${refused.length} refused lately.`));
  return made;
}

function section(title, columns, rows, none) {
  return h("section", { class: "card" }, h("h2", {}, title), rows.length ? h("div", { class: "wide" }, h("table", {},
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
        ["To", delivery.url], ["Last tried", typeof delivery.at === "number" ? dayAndTime(delivery.at) : delivery.at],
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
