// The console's one page: signs in, shows the page that the address names (#/live, #/calls/ID, …), keeps the top bar.

import { get, session, signOut } from "./parts/api.js";
import { fill, h } from "./parts/dom.js";
import { showCall } from "./pages/call.js";
import { showCalls } from "./pages/calls.js";
import { showLive } from "./pages/live.js";
import { showPhone } from "./pages/phone.js";
import { showSignIn } from "./pages/sign-in.js";
import { showSystem } from "./pages/system.js";
import { phoneCall } from "./phone/call.js";
import { onCallBadge } from "./phone/badge.js";

// A page fills the place it is given and may return a function that ends what it began.
const PAGES = {
  live: { title: "Live calls", show: showLive },
  calls: { title: "Past calls", show: showCalls },
  phone: { title: "Phone", show: showPhone },
  system: { title: "System", show: showSystem },
};
const CALL = { title: "Call", show: showCall };

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const signOutButton = document.getElementById("sign-out");
let leave = () => {};
let signedIn = false;

/** The address as {page, id, query}. */
function place() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?", 2);
  const [page, id] = path.split("/", 2);
  return { page, id: id ? decodeURIComponent(id) : null, query: new URLSearchParams(query ?? "") };
}

function show({ moved }) {
  leave();
  leave = () => {};
  if (!signedIn) return;
  const { page, id, query } = place();
  if (!PAGES[page]) {
    location.replace("#/live");
    return;
  }
  const { title, show: showPage } = page === "calls" && id ? CALL : PAGES[page];
  document.title = `${title} · Voicebot console`;
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.page === page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const heading = h("h1", { tabindex: "-1" }, title);
  const body = h("div", { class: `page page-${page}` });
  fill(main, heading, body);
  leave = showPage(body, { id, query, heading }) ?? (() => {});
  // Only after a move: on arrival the browser's own focus is where people expect it.
  if (moved) heading.focus();
}

function enter(inside) {
  signedIn = inside;
  nav.hidden = signOutButton.hidden = !inside;
  if (inside) show({ moved: false });
}

function askForToken(problem) {
  enter(false);
  leave();
  document.title = "Sign in · Voicebot console";
  leave = showSignIn(main, { problem, done: () => enter(true) }) ?? (() => {});
}

window.addEventListener("hashchange", () => show({ moved: true }));
session.addEventListener("lost", () => {
  if (signedIn) askForToken({ message: "The session is over.", hint: "Sign in again." });
});
document.getElementById("skip").addEventListener("click", (event) => {
  // The address names the page, so the link itself must not change it.
  event.preventDefault();
  main.focus();
});
signOutButton.addEventListener("click", async () => {
  phoneCall.hangUp();
  try {
    await signOut();
    askForToken(null);
  } catch (error) {
    askForToken(error);
  }
});
onCallBadge(document.getElementById("on-call"));

get("/agents").then(() => enter(true), (error) => askForToken(error.status === 401 ? null : error));
