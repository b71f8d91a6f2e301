// The calls that are going on, a card each, from one stream of events.

import { fill, h } from "../parts/dom.js";
import { latencyLegend } from "../parts/latency.js";
import { listen } from "../parts/events.js";
import { CallCard } from "./call-card.js";

export function showLive(page) {
  const cards = new Map();
  const grid = h("div", { class: "cards" });
  const connection = h("p", { class: "notice", role: "status" });
  const none = h("p", { class: "empty" }, "No call is going on. ", h("a", { href: "#/phone" }, "Call a bot yourself."));
  let follow = null;

  function put(call, begun = false) {
    let card = cards.get(call.call_id);
    if (!card) {
      card = new CallCard(call, { onWhole: () => readWhole(call.call_id), begun });
      cards.set(call.call_id, card);
      grid.append(card.el);
    }
    card.update(call);
    none.hidden = cards.size > 0;
  }

  function remove(callId) {
    cards.get(callId)?.el.remove();
    cards.delete(callId);
    if (follow?.callId === callId) stopReading();
    none.hidden = cards.size > 0;
  }

  function stopReading() {
    follow?.stop();
    follow = null;
  }

  // A browser opens six connections to a server at most: one call at a time is read from its beginning.
  function readWhole(callId) {
    stopReading();
    const card = cards.get(callId);
    if (!card) return;
    card.transcript.clear();
    card.whole();
    const stop = listen(callId, { entry: ({ entry }) => cards.get(callId)?.transcript.add(entry) });
    follow = { callId, stop };
  }

  const stop = listen(null, {
    snapshot: ({ calls }) => {
      const active = new Set(calls.map((call) => call.call_id));
      for (const callId of [...cards.keys()]) if (!active.has(callId)) remove(callId);
      for (const call of calls) put(call, call.state !== "ringing");
      none.hidden = cards.size > 0;
      const begun = calls.find((call) => call.state !== "ringing");
      if (begun && !follow) readWhole(begun.call_id);
    },
    call: (call) => put(call),
    gone: ({ call_id: callId }) => remove(callId),
    entry: ({ call_id: callId, entry }) => cards.get(callId)?.transcript.add(entry),
  }, (connected) => {
    connection.textContent = connected ? "" : "The connection to the gateway is lost; trying again …";
    connection.classList.toggle("bad", !connected);
  });

  none.hidden = true;
  fill(page, connection, none, grid, latencyLegend());
  const ticking = setInterval(() => {
    for (const card of cards.values()) card.tick();
  }, 1000);
  return () => {
    clearInterval(ticking);
    stopReading();
    stop();
  };
}
