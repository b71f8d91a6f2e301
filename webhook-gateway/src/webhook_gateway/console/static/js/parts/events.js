// Server-sent events, with the connection's state; the browser reconnects by itself.

import { address, get } from "./api.js";

/**
 * Listen to /live. `handlers`: functions by event name, given the event's data. `onState` gets true when connected and
 * false when not. Returns the function that stops it.
 */
export function listen(callId, handlers, onState = () => {}) {
  const query = callId ? `?call_id=${encodeURIComponent(callId)}` : "";
  const source = new EventSource(address(`/live${query}`));
  for (const [name, handler] of Object.entries(handlers)) {
    source.addEventListener(name, (event) => handler(JSON.parse(event.data)));
  }
  source.addEventListener("open", () => onState(true));
  source.addEventListener("error", () => {
    onState(false);
    // Closed for good means that an answer was no stream: asking for something small tells why (no session, perhaps).
    if (source.readyState === EventSource.CLOSED) get("/agents").catch(() => {});
  });
  return () => source.close();
}
