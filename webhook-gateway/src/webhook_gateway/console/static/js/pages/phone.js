// The softphone: choose an agent, talk to it, read along.

import { get } from "../parts/api.js";
import { field, fill, h } from "../parts/dom.js";
import { listen } from "../parts/events.js";
import { clock } from "../parts/format.js";
import { latencyBar, latencyLegend } from "../parts/latency.js";
import { Notice } from "../parts/notices.js";
import { Transcript } from "../parts/transcript.js";
import { phoneCall } from "../phone/call.js";

const KEYS = "123456789*0#";
const METER_EVERY_MS = 100;

export function showPhone(page) {
  const notice = new Notice();
  const noAgents = new Notice();
  const agents = h("select", { name: "agent" });
  const rate = h("select", { name: "rate" },
    h("option", { value: "8000" }, "8 kHz, as most phone lines"), h("option", { value: "16000" }, "16 kHz, wideband"));
  const start = h("button", { type: "button", class: "primary" }, "Call");
  const hangUp = h("button", { type: "button", class: "danger" }, "Hang up");
  const mute = h("button", { type: "button" });
  const keys = [...KEYS].map((key) => h("button", { type: "button", on: { click: () => phoneCall.press(key) } }, key));
  const [mine, bots] = [meter("You"), meter("Bot")];
  const happened = h("ul", { class: "happened", role: "log", "aria-label": "What happened on the line" });
  const captions = h("div");
  const latency = h("div", { class: "last-turn" });
  const record = h("p");
  const followed = { callId: null, stop: () => {} };

  function follow(callId) {
    followed.stop();
    const transcript = new Transcript({ label: "Captions" });
    transcript.onTiming = (timing) => fill(latency, h("h2", {}, "Last answer"), latencyBar(timing));
    fill(captions, transcript.el);
    const stop = listen(callId, { entry: ({ entry }) => transcript.add(entry) });
    Object.assign(followed, { callId, stop });
  }

  function update() {
    const { state, busy, callId, muted } = phoneCall;
    const focused = document.activeElement;
    start.disabled = agents.disabled = rate.disabled = busy || !agents.value;
    start.hidden = busy;
    hangUp.hidden = mute.hidden = !busy;
    if (focused === start && busy) hangUp.focus();
    if (focused === hangUp && !busy) start.focus();
    for (const key of keys) key.disabled = state !== "on";
    mute.disabled = state !== "on";
    mute.textContent = muted ? "Unmute the microphone" : "Mute the microphone";
    mute.setAttribute("aria-pressed", String(muted));
    if (state === "calling") notice.say("Calling …");
    else if (state === "away") notice.say("The connection broke; connecting again …");
    else if (state === "on") notice.say(`Connected to ${phoneCall.agent}. Speak.`);
    else if (phoneCall.problem) notice.fail(phoneCall.problem);
    else notice.say(phoneCall.ending);
    if (busy && callId && callId !== followed.callId) follow(callId);
    const over = state === "ended" && callId;
    fill(record, over ? h("a", { href: `#/calls/${encodeURIComponent(callId)}` }, "The call's record (once it is written)") : null);
  }

  const tell = ({ detail }) => happened.append(h("li", {}, `${clock(Date.now() / 1000)} ${detail}`));
  const key = (event) => {
    const typing = event.target.closest?.("input, select, textarea");
    if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey && KEYS.includes(event.key)) phoneCall.press(event.key);
  };
  start.addEventListener("click", () => {
    fill(happened);
    fill(latency);
    phoneCall.start(agents.value, Number(rate.value));
  });
  hangUp.addEventListener("click", () => phoneCall.hangUp());
  mute.addEventListener("click", () => phoneCall.mute(!phoneCall.muted));
  phoneCall.addEventListener("change", update);
  phoneCall.addEventListener("happened", tell);
  document.addEventListener("keydown", key);
  const measuring = setInterval(() => {
    mine.show(phoneCall.micLevel);
    bots.show(phoneCall.botLevel);
  }, METER_EVERY_MS);

  fill(page,
    h("section", { class: "card handset", "aria-label": "Handset" },
      field("Agent", agents), noAgents.el, field("Sound", rate), start, hangUp, mute, notice.el, mine.el, bots.el,
      h("div", { class: "keypad", role: "group", "aria-label": "Keypad" }, keys),
      h("p", { class: "hint" }, "The keyboard's digits, * and # press keys too.")),
    h("section", { class: "card", "aria-label": "Conversation" }, latency, captions, record, happened, latencyLegend()));
  chooseAgents(agents, noAgents).then(update);
  update();
  return () => {
    clearInterval(measuring);
    followed.stop();
    phoneCall.removeEventListener("change", update);
    phoneCall.removeEventListener("happened", tell);
    document.removeEventListener("keydown", key);
  };
}

async function chooseAgents(select, notice) {
  try {
    const { agents } = await get("/agents");
    fill(select, agents.map(({ name, language, numbers }) =>
      h("option", { value: name, selected: name === phoneCall.agent }, [name, language, numbers?.[0]].filter(Boolean).join(" · "))));
    if (!agents.length) notice.fail({ message: "There is no agent to call.", hint: "Start a worker: agents come with it." });
  } catch (error) {
    notice.fail(error);
  }
}

/** How loud one side is; speech lies around a tenth of the scale, so the scale is bent. */
function meter(name) {
  const bar = h("meter", { min: "0", max: "1", value: "0" });
  const el = h("label", { class: "level" }, name, bar);
  return { el, show: (level) => { bar.value = Math.min(1, Math.sqrt(level) * 1.6); } };
}
