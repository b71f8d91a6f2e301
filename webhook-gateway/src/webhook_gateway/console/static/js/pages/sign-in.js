// Asks for the admin token, once: the gateway answers with a cookie.

import { signIn } from "../parts/api.js";
import { field, fill, h } from "../parts/dom.js";
import { Notice } from "../parts/notices.js";

export function showSignIn(main, { problem, done }) {
  const token = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true });
  const button = h("button", { type: "submit", class: "primary" }, "Sign in");
  const notice = new Notice();
  // Password managers keep a token by a name.
  const name = h("input", { name: "username", autocomplete: "username", value: "admin", hidden: true });
  const form = h("form", { class: "sign-in card" },
    name,
    h("h1", {}, "Sign in"),
    field("Admin token", token),
    h("p", { class: "hint" }, "The value of ADMIN_TOKEN in the gateway's settings."),
    button,
    notice.el);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const signed = await notice.during(button, () => signIn(token.value));
    if (signed) done();
    else token.select();
  });
  fill(main, form);
  if (problem) notice.fail(problem);
  token.focus();
}
