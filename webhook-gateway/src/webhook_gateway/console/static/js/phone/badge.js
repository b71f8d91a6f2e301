// In the top bar, while the softphone is on a call: so that nobody forgets an open microphone.

import { fill, h } from "../parts/dom.js";
import { phoneCall } from "./call.js";

export function onCallBadge(place) {
  phoneCall.addEventListener("change", () => {
    place.hidden = !phoneCall.busy;
    fill(place, h("a", { href: "#/phone" }, `● On a call with ${phoneCall.agent}`));
  });
}
